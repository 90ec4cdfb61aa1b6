# nestscope: one non-recursive makefile.
#
#   make            builds build/MODE/nestscope; MODE=release|debug|asan|cov, V=1 shows commands
#   make demo       installs what the build needs, builds, and shows the demo
#   make check      everything that needs no large download
#   make lint       layers, headers, formats, engine boundary, manual pages
#   make man        the manual pages; make completion: for bash, zsh, fish
#   make check-linux the stock Debian kernels as well
#   make asan       a part of the suites under AddressSanitizer and UBSan
#   make install    with prefix and DESTDIR; make deb: build/nestscope_VERSION_ARCH.deb
#   make check-fresh (root) all of it in a fresh Debian by debootstrap
#   make help       the other targets

MODE    ?= release
Q       := $(if $(V),,@)
ifeq ($(origin CC),default)
CC      := gcc
endif
B       := build/$(MODE)

# The layers: what each folder may include besides itself. An include that is
# not listed here fails `make lint`; the link lines follow the same order.
LAYERS  := base ept cpu vmx machine l0 introspect command gdbstub tui plugins app
may_base       :=
may_ept        := base
may_cpu        := base ept
may_vmx        := base ept cpu
may_machine    := base
may_l0         := base ept cpu vmx machine
may_introspect := base ept cpu vmx machine l0
may_command    := base introspect
may_gdbstub    := base introspect command
may_tui        := base introspect command
may_plugins    := base introspect command
may_app        := base ept cpu vmx machine l0 introspect command gdbstub tui plugins

PKGS    := ncursesw vterm lua5.4 jansson slirp libzstd sqlite3 libxxhash
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null) \
	-isystem /usr/include/libdwarf
LIBS    := -lZydis -lZycore -lncursesw -lvterm -lreadline -lelf -ldwarf -llua5.4 -ljansson -lslirp -lzstd -lsqlite3 -lxxhash -ldl -lm

CFLAGS_release := -O2 -g
CFLAGS_debug   := -O0 -g
# A guest's accesses, and code that is generated, keep to no alignment.
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
CFLAGS_cov     := -O0 -g --coverage
CFLAGS_fuzz    := $(CFLAGS_asan) -fsanitize=fuzzer-no-link -Wno-ignored-attributes
LDFLAGS_asan   := -fsanitize=address,undefined
LDFLAGS_fuzz   := -fsanitize=address,undefined
LDFLAGS_cov    := --coverage

WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CPPFLAGS := -I. -I$(B)/gen -D_GNU_SOURCE -MMD -MP
ALL_CFLAGS = -std=c11 $(WARN) $(CFLAGS_$(MODE)) $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS += -rdynamic $(LDFLAGS_$(MODE))

# Code that runs while guest FP state is in host registers uses none of them.
GENERAL_REGS := cpu ept
$(foreach d,$(GENERAL_REGS),$(eval $(B)/$(d)/%.o: EXTRA := -mgeneral-regs-only -fno-stack-protector))

all: $(B)/nestscope

# Each folder is an archive of all its sources, subfolders included.
define folder
src_$(1) := $$(sort $$(wildcard $(1)/*.c $(1)/*/*.c))
obj_$(1) := $$(patsubst %.c,$(B)/%.o,$$(src_$(1)))
$(B)/$(1).a: $$(obj_$(1))
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach d,$(LAYERS),$(eval $(call folder,$(d))))

-include $(sort $(wildcard */rules.mk */*/rules.mk tests/*.mk))

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(EXTRA) -c $< -o $@

# A group resolves the hooks that a lower folder leaves to a higher one.
ARCHIVES = $(foreach d,$(LAYERS),$(if $(src_$(d)),$(B)/$(d).a))
$(B)/nestscope: $(ARCHIVES)
	$(Q)$(CC) $(LDFLAGS) -o $@ -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS)

# Unit tests: tests/unit/<folder>_<what>.c links what <folder> may use.
UNIT_SRC := $(sort $(wildcard tests/unit/*.c))
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(UNIT_SRC))
unit_folder = $(firstword $(subst _, ,$(notdir $(1))))
# What a folder may include, and what those stand on in turn.
closure = $(sort $(1) $(foreach d,$(may_$(1)),$(call closure,$(d))))
unit_archives = $(foreach d,$(call closure,$(1)),$(if $(src_$(d)),$(B)/$(d).a))
define unit
$(B)/tests/unit/$(1): tests/unit/$(1).c $(call unit_archives,$(call unit_folder,$(1)))
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CPPFLAGS) $$(ALL_CFLAGS) $$(LDFLAGS_$$(MODE)) $$< -o $$@ -rdynamic -Wl,--start-group $(call unit_archives,$(call unit_folder,$(1))) -Wl,--end-group -lcmocka $$(LIBS)
endef
$(foreach t,$(patsubst tests/unit/%.c,%,$(UNIT_SRC)),$(eval $(call unit,$(t))))

unit: $(UNIT_BIN)
	@tests/run-unit $(UNIT_BIN)

# check, check-linux: the suites of tests/*.list, one closing line each.
check: packages-test
	@$(MAKE) -s -j2 all
	@B=$(B) MODE=$(MODE) tests/run-suites tests/check.list

check-linux: packages-linux
	@$(MAKE) -s -j2 all
	@B=$(B) MODE=$(MODE) tests/run-suites tests/check-linux.list

# A part of the suites under AddressSanitizer and UBSan.
asan: packages-test
	@$(MAKE) -s -j2 MODE=asan all
	@B=build/asan MODE=asan tests/run-suites tests/asan.list

# The built-in L1 and L2: the TUI at a terminal, else a tour in text.
demo:
	@tools/packages build
	@$(MAKE) -s -j2 MODE=release all
	@tools/demo build/release/nestscope

packages-test:
	@tools/packages build test
packages-linux:
	@tools/packages build test linux

lint: $(B)/cpu.a $(B)/ept.a lint-man
	@tests/lint-boundary $(B)
	@tests/lint-layers $(foreach d,$(LAYERS),'$(d):$(may_$(d))')

clean:
	rm -rf build

help:
	@sed -n 's/^# *\(make  *[a-zB].*\)/\1/p' Makefile tests/*.mk */rules.mk

.PHONY: all asan demo unit lint check check-linux packages-test packages-linux clean help
.DELETE_ON_ERROR:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
