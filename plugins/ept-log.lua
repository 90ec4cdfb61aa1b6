-- ept-log: changes of L1's EPT, with the L1 code that made them
--
-- Prints a line for each entry of EPT12 that L1 changes: the address of the
-- entry, the value before and after in words, and L1's symbol. With quiet=1
-- there is only the summary by symbol at the end (also the command `ept-log`).
-- Where the machine does not tell of such writes, the entry that each EPT
-- violation hit is compared across L1's handling of it; the symbol is then
-- that of the re-entry.

local quiet = nestscope.arg.quiet == "1"
local rows = {}

local function words(v)
	if v & 7 == 0 then return "none" end
	return string.format("0x%x %s%s%s", v & 0xffffffffff000, v & 1 ~= 0 and "r" or "-",
		v & 2 ~= 0 and "w" or "-", v & 4 ~= 0 and "x" or "-")
end

local function changed(clock, where, address, old, new, rip)
	local r = rows[rip]
	if not r then
		r = {n = 0, mapped = 0, unmapped = 0, rip = rip}
		rows[rip] = r
	end
	r.n = r.n + 1
	if old & 7 == 0 and new & 7 ~= 0 then r.mapped = r.mapped + 1 end
	if old & 7 ~= 0 and new & 7 == 0 then r.unmapped = r.unmapped + 1 end
	if not quiet then
		print(string.format("%d: %s 0x%x: %s -> %s by %s", clock, where, address, words(old),
			words(new), nestscope.symbol(1, rip)))
	end
end

-- The last entry of the walk of gpa through EPT12.
local function entry_of(gpa, eptp)
	local at, value = eptp & 0xffffffffff000, 0
	for shift = 39, 12, -9 do
		local bytes = nestscope.read("l1p", at + ((gpa >> shift) & 511) * 8, 8)
		if not bytes then return 0 end
		value = string.unpack("<I8", bytes)
		if value & 7 == 0 or value & 0x80 ~= 0 or shift == 12 then return value end
		at = value & 0xffffffffff000
	end
	return value
end

local told = pcall(nestscope.on, "ept-change", {}, function(e)
	changed(e.clock, "entry", e.address, e.old_value, e.value,
		e.rip or nestscope.reg("rip", 1, e.vcpu) or 0)
end)

if not told then
	local open = {}
	nestscope.on("reflect", {reason = "EPT_VIOLATION,EPT_MISCONFIG"}, function(e)
		local eptp = nestscope.vmcs("12", "EPT_POINTER", e.level, e.vcpu)
		if eptp then open[e.vcpu] = {gpa = e.gpa, eptp = eptp, old = entry_of(e.gpa, eptp)} end
	end)
	nestscope.on("entry", {}, function(e)
		local o = open[e.vcpu]
		if not o then return end
		open[e.vcpu] = nil
		local new = entry_of(o.gpa, o.eptp)
		if new ~= o.old then
			changed(e.clock, "gpa", o.gpa, o.old, new, e.rip)
		end
	end)
end

local function show()
	local out = {}
	for _, r in pairs(rows) do
		r.symbol = nestscope.symbol(1, r.rip)
		out[#out + 1] = r
	end
	table.sort(out, function(a, b) return a.n > b.n or (a.n == b.n and a.symbol < b.symbol) end)
	for i, r in ipairs(out) do out[i] = {r.symbol, r.n, r.mapped, r.unmapped} end
	nestscope.table("ept changes", "symbol,>changes,>mapped,>unmapped", out)
end

nestscope.command("ept-log", "", "changes of L1's EPT by the code that made them", show)
nestscope.on("quit", {}, show)
