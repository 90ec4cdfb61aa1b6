exits
exits list 6
exits list 3 level=2 reason=IO_INSTRUCTION
exits list 2 if reason == VMWRITE && field == 0x681e
exits top
exits top 5 by detail
exits top 5 by symbol level=1
exits hist
exits causes
exits storm
exits storm 1000
exits reset
exits
--json exits list 1
trace
