vmcs
vmcs 12 PIN_BASED_VM_EXEC_CONTROL
vmcs 02 guest
vmcs all HOST_CR*
vmcs diff 12 02
vmcs diff 01 02 control
vmcs origin SECONDARY_VM_EXEC_CONTROL EPT_POINTER
vmcs history HOST_RIP
vmcs writers HOST_*
set HOST_RSP = 0x1234
vmcs history HOST_RSP
set vmcs02.HOST_RSP = 1
vmcs NOPE
--json vmcs 12 EPT_POINTER
