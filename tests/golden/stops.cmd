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
delete all
watch l2:guest_counter 4
watch access l1p:0x1000 8
watch l2p:0x7000 if level == 2
watch h:0x1000
watch l2p:0x7000 2M
break l1p:0x1000
stops
continue
delete 6
continue
info stop --json
stops
