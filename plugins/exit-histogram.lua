-- exit-histogram: how many exits, by level, reason and what they were about
--
-- Counts every VM exit as it happens and prints the table when the session
-- ends, or at any time with the command `exit-histogram`; its panel shows the
-- same live. The counts equal those of `exits hist by detail`.
-- Arguments: level=1|2 counts one level alone; rows=N shows the first N rows.

local count, filter = {}, {}
local rows = tonumber(nestscope.arg.rows) or 100000
if nestscope.arg.level then filter.level = tonumber(nestscope.arg.level) end

nestscope.on("exit", filter, function(e)
	local level, reason, detail = e.level, e.reason_number, e.detail or -1
	local by_reason = count[level]
	if not by_reason then by_reason = {} count[level] = by_reason end
	local by_detail = by_reason[reason]
	if not by_detail then by_detail = {} by_reason[reason] = by_detail end
	local row = by_detail[detail]
	if row then row.n = row.n + 1
	else by_detail[detail] = {n = 1, level = level, reason = e.reason, detail = e.detail_text} end
end)

local function sorted()
	local list = {}
	for _, by_reason in pairs(count) do
		for _, by_detail in pairs(by_reason) do
			for _, row in pairs(by_detail) do list[#list + 1] = row end
		end
	end
	table.sort(list, function(a, b)
		if a.n ~= b.n then return a.n > b.n end
		if a.level ~= b.level then return a.level < b.level end
		if a.reason ~= b.reason then return a.reason < b.reason end
		return a.detail < b.detail
	end)
	return list
end

local function show()
	local list, out = sorted(), {}
	for i = 1, math.min(rows, #list) do
		local r = list[i]
		out[i] = {"l" .. (r.level > 2 and "2:" .. r.level - 1 or r.level), r.reason, r.detail, r.n}
	end
	nestscope.table("histogram", "level,reason,detail,>count", out)
end

nestscope.command("exit-histogram", "", "show the exits counted so far", show)
nestscope.on("quit", {}, show)

nestscope.panel("histogram", "Exit histogram", function(canvas, width, height)
	local list = sorted()
	for y = 1, math.min(height, #list) do
		local r = list[y]
		canvas:text(1, y, string.format("l%d %-18.18s %-24.24s %8d", r.level, r.reason, r.detail, r.n),
			r.level == 1 and "l1" or "l2")
		if width > 70 then canvas:bar(58, y, width - 59, r.n, list[1].n) end
	end
end)
