-- Which frames each display filter of a file (one a line) selects: "filter frame" lines, both counted from one.
-- One pass of tshark serves all filters, and gives frame numbers, which its own statistics do not.
local out = assert(io.open(os.getenv("ORACLE_OUT"), "w"))
local count = 0
for filter in io.lines(os.getenv("ORACLE_FILTERS")) do
  count = count + 1
  local number = count
  local tap = Listener.new("frame", filter)
  function tap.packet(pinfo) out:write(number, " ", pinfo.number, "\n") end
end
-- Says that all filters were understood.
out:write(0, " ", count, "\n")
