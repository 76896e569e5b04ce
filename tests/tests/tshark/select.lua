-- Which frames each display filter of a file (one a line) selects: "filter frame" lines, both counted from one, and
-- "filter - reason" for a filter that is refused. One pass of tshark serves all filters.
local out = assert(io.open(os.getenv("ORACLE_OUT"), "w"))
local count = 0
for filter in io.lines(os.getenv("ORACLE_FILTERS")) do
  count = count + 1
  local number = count
  local taken, tap = pcall(Listener.new, "frame", filter)
  if taken then
    function tap.packet(pinfo) out:write(number, " ", pinfo.number, "\n") end
  else
    out:write(number, " - ", (tostring(tap):gsub("%s+", " ")), "\n")
  end
end
-- Says that all filters were read.
out:write(0, " ", count, "\n")
