-- field-writers: who writes a VMCS field
--
-- Argument: field=NAME (default GUEST_RIP). Counts the writes of that field of
-- VMCS12 by the L1 code that made them and by the way they came (VMWRITE,
-- shadowed VMWRITE, L0, a tool), with the last value of each. Shown at the end
-- and by the command `field-writers`; `verbose=1` prints each write as it
-- happens.

local field = nestscope.arg.field or "GUEST_RIP"
local verbose = nestscope.arg.verbose == "1"
local rows = {}

nestscope.on("vmwrite", {field = field}, function(e)
	local key = e.writer .. e.rip
	local r = rows[key]
	if not r then
		r = {n = 0, writer = e.writer, rip = e.rip, cr3 = e.cr3, changed = 0}
		rows[key] = r
	end
	r.n = r.n + 1
	if e.value ~= e.old_value then r.changed = r.changed + 1 end
	r.value, r.clock = e.value, e.clock
	if verbose then
		print(string.format("%d: %s 0x%x -> 0x%x by %s at %s", e.clock, e.field, e.old_value,
			e.value, e.writer, e.symbol))
	end
end)

local function show()
	local out = {}
	for _, r in pairs(rows) do
		r.symbol = nestscope.symbol(1, r.rip, r.cr3)
		out[#out + 1] = r
	end
	table.sort(out, function(a, b)
		if a.n ~= b.n then return a.n > b.n end
		return a.symbol < b.symbol
	end)
	for i, r in ipairs(out) do out[i] = {field, r.n, r.changed, r.writer, r.symbol, r.value, r.clock} end
	nestscope.table("writers", "field,>writes,>changes,writer,symbol,#last value,>at clock", out)
end

nestscope.command("field-writers", "", "who wrote the field that is watched", show)
nestscope.on("quit", {}, show)
