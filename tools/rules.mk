# Installing and packaging.
prefix  ?= /usr/local
bindir  ?= $(prefix)/bin
datadir ?= $(prefix)/share
mandir  ?= $(datadir)/man
DESTDIR ?=
VERSION := $(shell sed -n 's/^nestscope \([0-9.]*\).*/\1/p;T;q' CHANGES)
$(B)/app/main.o: EXTRA += -DVERSION='"$(VERSION)"'
$(B)/app/main.o: CHANGES
INSTALL_TO = $(DESTDIR)$(datadir)/nestscope

# The built-in L1 is installed as a file too: gdb reads its symbols there.
install: $(B)/nestscope man completion
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(prefix)/include $(DESTDIR)$(datadir)/pkgconfig \
		$(INSTALL_TO)/plugins $(INSTALL_TO)/guests $(DESTDIR)$(datadir)/bash-completion/completions \
		$(DESTDIR)$(datadir)/zsh/vendor-completions $(DESTDIR)$(datadir)/fish/vendor_completions.d
	install -s -m 755 $(B)/nestscope $(DESTDIR)$(bindir)/nestscope
	install -m 644 plugins/nestscope-plugin.h $(DESTDIR)$(prefix)/include/
	install -m 644 plugins/nestscope-plugin.pc $(DESTDIR)$(datadir)/pkgconfig/
	install -m 644 $(B)/guests/l1.elf.64 $(INSTALL_TO)/guests/l1.elf
	install -m 644 gdbstub/nestscope-gdb.py $(INSTALL_TO)/nestscope-gdb.py
	cp -r $(filter-out %.c %.h %.def %.mk %.pc,$(wildcard plugins/*)) $(INSTALL_TO)/plugins/
	install -m 644 $(B)/completion/nestscope.bash $(DESTDIR)$(datadir)/bash-completion/completions/nestscope
	install -m 644 $(B)/completion/nestscope.zsh $(DESTDIR)$(datadir)/zsh/vendor-completions/_nestscope
	install -m 644 $(B)/completion/nestscope.fish $(DESTDIR)$(datadir)/fish/vendor_completions.d/nestscope.fish
	for page in $(MAN_PAGES); do \
		install -D -m 644 $(B)/$$page $(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/} || exit; done

DEB := build/nestscope_$(VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb
deb:
	@tools/packages build
	@rm -rf build/deb
	@$(MAKE) -s -j2 MODE=release install DESTDIR=build/deb prefix=/usr >/dev/null
	@tools/deb build/deb $(VERSION) $(DEB)

.PHONY: install deb

# As root, with debootstrap installed: the README on a fresh Debian.
check-fresh:
	@tests/fresh
.PHONY: check-fresh
