-- process-list: the processes of a Linux guest, without its help
--
-- The command `process-list [l1|l2]` (default l2, level=1 changes it) walks the
-- kernel's own task list in the guest's memory, at the offsets that the kernel
-- states about itself in its BTF: process id, parent, command, state, and
-- whether it is a kernel thread. at=TEXT shows it when the guest prints a line
-- with TEXT on its console; `quit=1` at the end.

local level = tonumber(nestscope.arg.level or "2")

local function int(level, address, size)
	local bytes = nestscope.read("l" .. level, address, size)
	return bytes and (string.unpack(size == 8 and "<i8" or "<i4", bytes))
end

local function offsets(level)
	local o = {}
	for name, member in pairs{tasks = "tasks", pid = "pid", comm = "comm", mm = "mm",
		state = "__state", parent = "real_parent", tgid = "tgid"} do
		local at, why = nestscope.member("task_struct", member, level)
		if not at then error(why, 0) end
		o[name] = at
	end
	return o
end

-- As ps shows it: idle is uninterruptible and does not count as load.
local function letter(state)
	if state & 0x402 == 0x402 then return "I" end
	for bit, name in pairs{[1] = "S", [2] = "D", [4] = "T", [8] = "t"} do
		if state & 15 == bit then return name end
	end
	return state & 15 == 0 and "R" or "?"
end

local function list(level)
	local init = nestscope.address("init_task", level)
	if not init then error("no Linux kernel with symbols is known in l" .. level, 0) end
	local o, rows = offsets(level), {}
	local task = init
	for _ = 1, 32768 do
		local comm = nestscope.read("l" .. level, task + o.comm, 16)
		if not comm then break end
		local state = int(level, task + o.state, 4) or 0
		local parent = int(level, task + o.parent, 8) or 0
		rows[#rows + 1] = {int(level, task + o.pid, 4), int(level, parent + o.pid, 4),
			letter(state), int(level, task + o.mm, 8) == 0 and "kernel" or "user",
			(comm:match("^[^%z]*"))}
		task = int(level, task + o.tasks, 8)
		if not task then break end
		task = task - o.tasks
		if task == init then break end
	end
	return rows
end

local function show(level)
	nestscope.table("processes", ">pid,>parent,state,kind,command", list(level))
end

nestscope.command("process-list", "[l1|l2]", "the processes of a Linux guest", function(rest)
	show(tonumber(rest:match("^l(%d)")) or level)
end)

if nestscope.arg.at then
	nestscope.on("console", {}, function(e)
		if not e.text:find(nestscope.arg.at, 1, true) then return end
		local ok, why = pcall(show, level)
		if not ok then print("process-list: " .. why) end
	end)
end
if nestscope.arg.quit == "1" then nestscope.on("quit", {}, function() show(level) end) end
