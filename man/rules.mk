# Manuals and shell completion: the pages of man/ with their tables written out
# by a program that is made of the same rows as nestscope itself.
MAN_PAGES := $(sort $(wildcard man/*.[1-9]))
MAN_BUILT := $(patsubst %,$(B)/%,$(MAN_PAGES))
COMPLETION := $(foreach s,bash zsh fish,$(B)/completion/nestscope.$(s))

obj_man := $(patsubst %.c,$(B)/%.o,$(wildcard man/*.c))
# With the archives of nestscope, hence after it.
$(B)/man/tables: $(obj_man) $(B)/nestscope $(wildcard plugins/*.lua)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(obj_man) -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS)

define man_page
$(B)/$(1): $(1) $(B)/man/tables
	$$(Q)$(B)/man/tables <$$< >$$@
endef
$(foreach p,$(MAN_PAGES),$(eval $(call man_page,$(p))))

$(B)/completion/nestscope.%: $(B)/man/tables
	@mkdir -p $(@D)
	$(Q)$(B)/man/tables --complete $* >$@

man: $(MAN_BUILT)
completion: $(COMPLETION)
lint-man: $(MAN_BUILT) $(COMPLETION)
	@tests/docs/manuals $(B)

.PHONY: man completion lint-man
