-- coverage: which instructions of a range were executed
--
-- Arguments: from=ADDRESS and to=ADDRESS (numbers, or symbols of the level),
-- level=1|2 (default 2), out=FILE. Each instruction of the range gets a
-- breakpoint that stops nothing and goes away at its first hit, so that code
-- runs at full speed once it has been seen. A range of L2 is disassembled at
-- the first entry of L2. At the end FILE is written: *.info is lcov's format,
-- with a listing FILE.asm as its source, so that genhtml shows each
-- instruction; every other name gets drcov's, for disassemblers.

local level = tonumber(nestscope.arg.level or "2")
local out = nestscope.arg.out
local code, hit, order = {}, {}, {}

local function address(text)
	if not text then error("from= and to= are wanted", 0) end
	return math.tointeger(tonumber(text)) or nestscope.address(text, level) or
		error("no address " .. text, 0)
end

local function seen(e)
	if not hit[e.address] then
		hit[e.address] = e.clock
	end
end

local function plant()
	local at, to = address(nestscope.arg.from), address(nestscope.arg.to)
	while at < to and #order < 200000 do
		local text, length = nestscope.disassemble(at, level)
		if not text then break end
		code[at] = {text = text, length = length}
		order[#order + 1] = at
		nestscope.breakpoint(at, {level = level, once = true}, seen)
		at = at + length
	end
end

if level == 1 then
	plant()
else
	local first
	first = nestscope.on("entry", {level = level}, function()
		nestscope.off(first)
		plant()
	end)
end

local function lcov(path)
	local listing, info = assert(nestscope.create(path .. ".asm")), assert(nestscope.create(path))
	info:write("TN:nestscope\nSF:" .. path .. ".asm\n")
	local n = 0
	for line, at in ipairs(order) do
		listing:write(string.format("%-40s %s\n", nestscope.symbol(level, at), code[at].text))
		info:write(string.format("DA:%d,%d\n", line, hit[at] and 1 or 0))
		if hit[at] then n = n + 1 end
	end
	info:write(string.format("LF:%d\nLH:%d\nend_of_record\n", #order, n))
	listing:close()
	info:close()
end

local function drcov(path)
	local f = assert(nestscope.create(path))
	local from, to = order[1] or 0, order[#order] or 0
	local blocks = {}
	for _, at in ipairs(order) do
		if hit[at] then blocks[#blocks + 1] = string.pack("<I4I2I2", at - from, code[at].length, 0) end
	end
	f:write("DRCOV VERSION: 2\nDRCOV FLAVOR: nestscope\nModule Table: version 2, count 1\n")
	f:write("Columns: id, base, end, entry, checksum, timestamp, path\n")
	f:write(string.format("0, 0x%x, 0x%x, 0x0, 0x0, 0x0, l%d\n", from, to + 16, level))
	f:write(string.format("BB Table: %d bbs\n", #blocks) .. table.concat(blocks))
	f:close()
end

local function show()
	local n = 0
	for _ in pairs(hit) do n = n + 1 end
	print(string.format("coverage: %d of %d instructions", n, #order))
end

nestscope.command("coverage", "", "how much of the range was executed", show)
nestscope.on("quit", {}, function()
	show()
	if out then (out:match("%.info$") and lcov or drcov)(out) end
end)
