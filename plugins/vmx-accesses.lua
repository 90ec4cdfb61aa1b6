-- vmx-accesses: VMREADs and VMWRITEs that each kind of L2 exit costs
--
-- For every exit of L2 that is reflected, counts the VMREAD and VMWRITE exits
-- of L1 until it enters L2 again, and the writes that VMCS shadowing served
-- without an exit. The table (at the end, or by the command `vmx-accesses`)
-- has a row per exit reason: how many exits, accesses in all, and per exit. A
-- hypervisor that reads twenty fields per exit shows here at once.

local rows, current = {}, {}

local function row(vcpu)
	local reason = current[vcpu] or "(none)"
	local r = rows[reason]
	if not r then
		r = {reason = reason, exits = 0, read = 0, write = 0, shadowed = 0}
		rows[reason] = r
	end
	return r
end

nestscope.on("reflect", {}, function(e)
	current[e.vcpu] = e.reason
	local r = row(e.vcpu)
	r.exits = r.exits + 1
end)

nestscope.on("exit", {level = 1, reason = "VMREAD,VMWRITE"}, function(e)
	local r = row(e.vcpu)
	if e.reason == "VMREAD" then r.read = r.read + 1 else r.write = r.write + 1 end
end)

nestscope.on("vmwrite", {}, function(e)
	if e.writer == "shadowed VMWRITE" then
		local r = row(e.vcpu)
		r.shadowed = r.shadowed + 1
	end
end)

local function show()
	local out = {}
	for _, r in pairs(rows) do out[#out + 1] = r end
	table.sort(out, function(a, b)
		local x, y = a.read + a.write, b.read + b.write
		if x ~= y then return x > y end
		return a.reason < b.reason
	end)
	for i, r in ipairs(out) do
		local n = r.exits > 0 and r.exits or 1
		out[i] = {r.reason, r.exits, r.read, r.write, r.shadowed, r.read / n, r.write / n, r.shadowed / n}
	end
	nestscope.table("accesses",
		"exit,>exits,>vmreads,>vmwrites,>shadowed writes,>reads/exit,>writes/exit,>shadowed/exit", out)
end

nestscope.command("vmx-accesses", "", "VMREADs and VMWRITEs per kind of L2 exit", show)
nestscope.on("quit", {}, show)
