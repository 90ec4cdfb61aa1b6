-- access-report: which CPUID leaves and MSRs a guest asks for
--
-- Argument: level=1 or level=2 (default: both). A row per leaf or MSR and
-- code that touched it: how often, read or written, who answered (L0 or L1),
-- and the last value written. Shown at the end and by `access-report`. It
-- answers "which MSR do I have to handle next" for a hypervisor under work.

local filter = {reason = "CPUID,MSR_READ,MSR_WRITE"}
if nestscope.arg.level then filter.level = tonumber(nestscope.arg.level) end
local rows = {}

nestscope.on("exit", filter, function(e)
	local key = e.reason .. e.level .. ":" .. e.detail .. ":" .. e.rip
	local r = rows[key]
	if not r then
		r = {n = 0, level = e.level, reason = e.reason, what = e.detail_text,
			by = e.reflected and "l1" or "l0", rip = e.rip, cr3 = e.cr3}
		rows[key] = r
	end
	r.n = r.n + 1
end)

nestscope.on("msr-write", filter.level and {level = filter.level} or {}, function(e)
	local r = rows["MSR_WRITE" .. e.level .. ":" .. e.detail .. ":" .. e.rip]
	if r then r.value = e.value end
end)

local function show()
	local out = {}
	for _, r in pairs(rows) do
		r.symbol = nestscope.symbol(r.level, r.rip, r.cr3) -- by what is known now
		out[#out + 1] = r
	end
	table.sort(out, function(a, b)
		if a.n ~= b.n then return a.n > b.n end
		if a.what ~= b.what then return a.what < b.what end
		return a.symbol < b.symbol
	end)
	for i, r in ipairs(out) do
		out[i] = {"l" .. r.level, r.reason, r.what, r.n, r.by, r.symbol, r.value}
	end
	nestscope.table("accesses", "level,access,what,>count,by,symbol,#last value", out)
end

nestscope.command("access-report", "", "CPUID leaves and MSRs that were asked for", show)
nestscope.on("quit", {}, show)
