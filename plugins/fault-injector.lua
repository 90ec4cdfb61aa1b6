-- fault-injector: flip a bit of VMCS12 or of L1's EPT, and watch L1 cope
--
-- Arguments: at=N, the VM entry before which it happens (default 1);
-- field=NAME and bit=K flip a bit of a field of VMCS12, or gpa=ADDRESS and
-- bit=K one of the last EPT12 entry for that guest-physical address. every=1
-- goes on at each entry from there on. What follows is told: the next exits of
-- L2, failed entries, and a triple fault. The flip is an entry of the input
-- log: a recorded run repeats it.

local at = tonumber(nestscope.arg.at or "1")
local bit = tonumber(nestscope.arg.bit or "0")
local field, gpa = nestscope.arg.field, nestscope.arg.gpa and math.tointeger(tonumber(nestscope.arg.gpa))
local every = nestscope.arg.every == "1"
local entries, flips, follow = 0, 0, 0

if not field and not gpa then error("field=NAME or gpa=ADDRESS says what to flip", 0) end

local function flip_field(e)
	local old = nestscope.vmcs("12", field, 1, e.vcpu)
	if not old then return end
	local new = old ~ (1 << bit)
	nestscope.set_vmcs(field, new, 1, e.vcpu)
	print(string.format("%d: entry %d: %s 0x%x -> 0x%x", e.clock, entries, field, old, new))
	return true
end

local function flip_ept(e)
	local table_at = nestscope.vmcs("12", "EPT_POINTER", 1, e.vcpu)
	local at, old = table_at and table_at & 0xffffffffff000
	for shift = 39, 12, -9 do
		local slot = at and at + ((gpa >> shift) & 511) * 8
		local bytes = slot and nestscope.read("l1p", slot, 8)
		if not bytes then return end
		old, table_at = string.unpack("<i8", bytes), slot
		if old & 7 == 0 or old & 0x80 ~= 0 or shift == 12 then break end
		at = old & 0xffffffffff000
	end
	local new = old ~ (1 << bit)
	nestscope.write("l1p", table_at, string.pack("<i8", new))
	print(string.format("%d: entry %d: EPT12 entry of gpa 0x%x at 0x%x: 0x%x -> 0x%x", e.clock,
		entries, gpa, table_at, old, new))
	return true
end

nestscope.on("exit-before", {level = 1, reason = "VMLAUNCH,VMRESUME"}, function(e)
	entries = entries + 1
	if entries == at or (every and entries > at) then
		if (field and flip_field or flip_ept)(e) then
			flips = flips + 1
			follow = 5
		end
	end
end)

nestscope.on("exit", {level = 2}, function(e)
	if follow > 0 then
		follow = follow - 1
		print(string.format("%d: then %s %s at %s, to %s", e.clock, e.reason, e.detail_text, e.symbol,
			e.reflected and "L1" or "L0"))
	end
end)

nestscope.on("entry-fail", {}, function(e)
	if flips > 0 then
		print(string.format("%d: then the entry at %s failed: %s", e.clock, nestscope.symbol(1, e.rip),
			e.reason))
	end
end)

nestscope.on("stop", {}, function(e)
	if flips > 0 then print("then the machine stopped: " .. e.text) end
end)

nestscope.on("quit", {}, function()
	print(string.format("%d of %d entries with a flipped bit", flips, entries))
end)
