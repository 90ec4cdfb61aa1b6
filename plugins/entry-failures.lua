-- entry-failures: every VM entry that fails, with its autopsy
--
-- Says for each failed VMLAUNCH or VMRESUME of L1 where it was tried, the
-- reason, and each check that fails with its field, its value and where L1
-- wrote it. stop=1 stops the machine there; max=N reports the first N
-- (default 20). A line with their number comes at the end.

local left = tonumber(nestscope.arg.max or "20")
local n = 0

-- Each finding of the autopsy is a tree: the check, its fields, who wrote them.
local function tell(node, indent)
	print(string.rep(" ", indent) .. node.text)
	for _, child in ipairs(node.children or {}) do tell(child, indent + 2) end
end

local function autopsy()
	local text, why = nestscope.command_line("autopsy", true)
	local doc = text and nestscope.parse_json(text)
	if not doc then print("  no autopsy: " .. (why or "?")) return end
	for _, node in ipairs(doc.findings or {}) do tell(node, 2) end
end

nestscope.on("entry-fail", {}, function(e)
	n = n + 1
	if n > left then return end
	print(string.format("%d: VM entry failed at %s: %s, qualification %d", e.clock,
		nestscope.symbol(1, e.rip), e.reason, e.qualification))
	autopsy()
	if nestscope.arg.stop == "1" then nestscope.stop("a VM entry failed") end
end)

nestscope.on("quit", {}, function() print(n .. " failed VM entries") end)
