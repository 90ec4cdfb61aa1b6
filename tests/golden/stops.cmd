break guest_work if rbx % 2 == 0
break l1:handle_exit once
watch guest_counter 4
catch exit IO_INSTRUCTION 0x80
stops
continue
continue
continue
continue
stops
delete 4
disable 3
stops
delete all
stepi
step through
step within 2
next 3
until l2:guest_work
finish
catch vmwrite GUEST_RIP
continue
until if rbx == 0x2b0
info stop
