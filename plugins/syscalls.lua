-- syscalls: the system calls of a Linux guest
--
-- Puts a breakpoint that stops nothing on the system-call entry of the kernel
-- of L2 (level=1: of L1) as soon as its symbols are known, and counts calls by
-- name; names come from the kernel's own sys_call_table. verbose=1 prints each
-- with its first three arguments. `syscalls` shows the table at any time, and
-- it is shown at the end. Arguments: level, verbose, max=N lines (default 200).

local level = tonumber(nestscope.arg.level or "2")
local verbose = nestscope.arg.verbose == "1"
local left = tonumber(nestscope.arg.max or "200")
local space = "l" .. level
local names, count, total = {}, {}, 0
local planted

local function name_of(nr, vcpu)
	if not names[nr] then
		local at = nestscope.address("sys_call_table", level, vcpu)
		local bytes = at and nestscope.read(space, at + nr * 8, 8)
		local name = bytes and nestscope.symbol(level, (string.unpack("<i8", bytes))) or ""
		names[nr] = name:match("^__x64_sys_([%w_]+)") or name:match("^__do_sys_([%w_]+)") or name:match("^([%w_]+)") or "call " .. nr
	end
	return names[nr]
end

local function called(e)
	local nr = nestscope.reg("rsi", level, e.vcpu) & 0xffffffff
	if nr > 1000 then return end
	local name = name_of(nr, e.vcpu)
	count[name] = (count[name] or 0) + 1
	total = total + 1
	if verbose and left > 0 then
		left = left - 1
		local regs = nestscope.reg("rdi", level, e.vcpu)
		local rdi = nestscope.member("pt_regs", "di", level, e.vcpu) or 112
		local bytes = nestscope.read(space, regs, 168)
		local a, b, c = 0, 0, 0
		if bytes then
			a = string.unpack("<i8", bytes, rdi + 1)
			b = string.unpack("<i8", bytes, rdi - 8 + 1)
			c = string.unpack("<i8", bytes, rdi - 16 + 1)
		end
		print(string.format("%d: %s(0x%x, 0x%x, 0x%x)", e.clock, name, a, b, c))
	end
end

-- Symbols come with the guest's kernel: looked for every few million ticks.
local function plant()
	if planted then return end
	local at = nestscope.address("do_syscall_64", level)
	if at then
		planted = nestscope.breakpoint(at, {level = level}, called)
		nestscope.log("system calls are watched at " .. nestscope.symbol(level, at))
	end
end

plant()
local tries
tries = nestscope.on("timer", {period = 20000000}, function()
	local here, vcpu = nestscope.here()
	if not planted and here == level then plant() end
	if planted then nestscope.off(tries) end
end)

local function show()
	local out = {}
	for name, n in pairs(count) do out[#out + 1] = {name, n} end
	table.sort(out, function(a, b) return a[2] > b[2] or (a[2] == b[2] and a[1] < b[1]) end)
	nestscope.table("system calls", "call,>count", out)
	print(total .. " system calls")
end

nestscope.command("syscalls", "", "the system calls counted so far", show)
nestscope.on("quit", {}, show)
