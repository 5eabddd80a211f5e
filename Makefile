# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists what there is to call. SAN=address,undefined (or thread) builds everything under
# these sanitizers, in a folder of its own; CC=clang works as well.

SHELL := /bin/bash
CC ?= gcc
SAN ?=
B := build$(if $(SAN),/san-$(subst $(empty) ,-,$(SAN)))$(if $(filter clang%,$(notdir $(CC))),/clang)
KDIR ?= /lib/modules/$(shell uname -r)/build
DESTDIR ?=

libs := libcurl openssl zlib libzstd liburcu-memb liburcu-cds blkid libmicrohttpd gnutls sqlite3 jansson \
	inih libsystemd
agent_libs := libcurl openssl zlib libzstd liburcu-memb liburcu-cds blkid jansson inih libsystemd
ctl_libs := jansson inih openssl zlib libzstd libcurl
shim_libs := jansson inih openssl libsystemd
appliance_libs := openssl zlib libzstd libmicrohttpd gnutls sqlite3 jansson inih libsystemd libcurl

CFLAGS ?= -O2 -g
all_cflags := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -pthread -Wall -Wextra -Werror \
	-Wformat=2 -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wvla -fno-strict-aliasing \
	-fstack-protector-strong $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) \
	$(if $(filter thread,$(SAN)),,-D_FORTIFY_SOURCE=2) $(CFLAGS)
# Expanded on use: pkg-config is there only after `make deps`.
pkg_cflags = $(eval pkg_cflags := $$(shell pkg-config --cflags $(libs)))$(pkg_cflags)
pkg = $(shell pkg-config --libs $(1))
all_ldflags := -pthread -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

# pthread_exit() (agent/reader.c) loads it when it is called, and ends the process where it is not installed: needed from the start it is.
thread_exit_libs := -Wl,--no-as-needed -lgcc_s

lib_src := $(wildcard lib/*.c)
agent_src := $(filter-out agent/mobilityd.c,$(wildcard agent/*.c))
ctl_src := $(filter-out agent/ctl/mobilityctl.c,$(wildcard agent/ctl/*.c))
# mobilityctl reads the same configuration file, and plan asks the module, or what the agent wrote down.
ctl_shared := agent/config.c agent/window.c agent/source_kmod.c agent/reader.c agent/source_kmod_epoch.c agent/state.c agent/left_out.c \
	agent/continuity.c
appliance_src := $(filter-out appliance/mobility-appliance.c,$(wildcard appliance/*.c appliance/store/*.c))
shim_src := $(filter-out vss-shim/vss-shim.c,$(wildcard vss-shim/*.c))
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

bins := $(addprefix $(B)/bin/,mobilityd mobilityctl mobility-appliance vss-shim)

.PHONY: all
all: deps $(bins)

.PHONY: deps deps-check deps-guest deps-bench
deps:
	@scripts/deps.sh build
deps-check:
	@scripts/deps.sh check
deps-guest:
	@scripts/deps.sh guest
deps-bench:
	@scripts/deps.sh bench

$(bins): | deps

$(B)/obj/%.o: %.c | deps
	@mkdir -p $(@D)
	$(CC) $(all_cflags) $(pkg_cflags) -MMD -MP -c -o $@ $<

$(B)/lib%.a:
	@rm -f $@
	ar rcs $@ $^
$(B)/libmobility.a: $(call obj,$(lib_src))
$(B)/libagent.a: $(call obj,$(agent_src) $(ctl_src))
$(B)/libappliance.a: $(call obj,$(appliance_src))
$(B)/libshim.a: $(call obj,$(shim_src))

$(B)/bin/mobilityd: $(call obj,agent/mobilityd.c) $(B)/libagent.a $(B)/libmobility.a
	@mkdir -p $(@D)
	$(CC) $(all_ldflags) -o $@ $^ $(call pkg,$(agent_libs)) $(thread_exit_libs)
$(B)/bin/mobilityctl: $(call obj,agent/ctl/mobilityctl.c $(ctl_src) $(ctl_shared)) $(B)/libmobility.a
	@mkdir -p $(@D)
	$(CC) $(all_ldflags) -o $@ $^ $(call pkg,$(ctl_libs))
$(B)/bin/mobility-appliance: $(call obj,appliance/mobility-appliance.c) $(B)/libappliance.a $(B)/libmobility.a
	@mkdir -p $(@D)
	$(CC) $(all_ldflags) -o $@ $^ $(call pkg,$(appliance_libs))

$(B)/bin/vss-shim: $(call obj,vss-shim/vss-shim.c) $(B)/libshim.a $(B)/libmobility.a
	@mkdir -p $(@D)
	$(CC) $(all_ldflags) -o $@ $^ $(call pkg,$(shim_libs))

# What the benchmark of replication compares with, besides other tools.
$(B)/bench/floor: $(call obj,tests/bench/floor.c) $(B)/libmobility.a
	@mkdir -p $(@D)
	$(CC) $(all_ldflags) -o $@ $^ $(call pkg,$(agent_libs))

# --- unit tests: tests/unit/{lib,agent,appliance,vss-shim,kmod}/test_NAME.c, a program each ----------------

unit_src := $(wildcard $(foreach d,lib agent appliance vss-shim,tests/unit/$(d)/test_*.c))
unit_bins := $(patsubst tests/%.c,$(B)/%,$(unit_src))
kmod_unit_bins := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/unit/kmod/test_*.c))

# A test may stand in for functions of the program: it names them in a comment "wraps: …" and defines __wrap_NAME.
unit_wraps = $(patsubst %,-Wl$(comma)--wrap=%,$(shell sed -n 's,.*wraps:\(.*\)\*/.*,\1,p' $(1)))
comma := ,

unit_helpers = $(filter-out $(wildcard tests/unit/$(1)/test_*.c),$(wildcard tests/unit/$(1)/*.c))

$(B)/unit/lib/%: $(B)/obj/tests/unit/lib/%.o $(call obj,$(call unit_helpers,lib)) $(B)/libmobility.a
	@mkdir -p $(@D)
	$(CC) $(all_ldflags) -o $@ $^ $(call pkg,check $(agent_libs))
$(B)/unit/agent/%: $(B)/obj/tests/unit/agent/%.o $(call obj,$(call unit_helpers,agent) tests/unit/lib/support.c) $(B)/libagent.a $(B)/libmobility.a
	@mkdir -p $(@D)
	$(CC) $(all_ldflags) $(call unit_wraps,tests/unit/agent/$*.c) -o $@ $^ $(call pkg,check $(agent_libs))
$(B)/unit/appliance/%: $(B)/obj/tests/unit/appliance/%.o $(call obj,$(call unit_helpers,appliance)) $(B)/libappliance.a $(B)/libmobility.a
	@mkdir -p $(@D)
	$(CC) $(all_ldflags) $(call unit_wraps,tests/unit/appliance/$*.c) -o $@ $^ $(call pkg,check $(appliance_libs))
$(B)/unit/vss-shim/%: $(B)/obj/tests/unit/vss-shim/%.o $(call obj,$(call unit_helpers,vss-shim) tests/unit/lib/support.c) $(B)/libshim.a $(B)/libmobility.a
	@mkdir -p $(@D)
	$(CC) $(all_ldflags) $(call unit_wraps,tests/unit/vss-shim/$*.c) -o $@ $^ $(call pkg,check $(shim_libs))

# Kernel sources in userspace: the test names the ones it needs in a comment "sources: …".
kmod_sources = $(shell sed -n 's,.*sources:\(.*\)\*/.*,\1,p' $(1))
$(B)/unit/kmod/%: tests/unit/kmod/%.c $(wildcard kmod/*.[ch] tests/unit/kmod/shim/*.h tests/unit/kmod/shim/*/*.h) | deps
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE -I tests/unit/kmod/shim -I kmod -I. -pthread -Wall -Wextra -Werror \
		-Wno-unused-parameter -Wno-sign-compare $(if $(SAN),-fsanitize=$(SAN)) $(CFLAGS) \
		-o $@ $< $(call kmod_sources,$<) $(call pkg,check)

# ThreadSanitizer has something to see where there are two threads: in these, and in the flow tests.
threaded := bookmark digest_feed finder queue reader sender shim admission catalog digests journal live http log set bitmap epoch_image
chosen_unit_bins := $(unit_bins) $(kmod_unit_bins)
ifeq ($(SAN),thread)
chosen_unit_bins := $(filter $(addprefix %/test_,$(threaded)),$(chosen_unit_bins))
endif

.PHONY: unit-bins unit
unit-bins: deps-check $(chosen_unit_bins)
unit: unit-bins all
	@MOBILITY_BIN=$(abspath $(B)/bin) tests/unit/run.sh $(chosen_unit_bins)

# --- kernel module -------------------------------------------------------------------------------

.PHONY: kmod kmod-install kmod-clean
kmod:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules
# Into the kernel that KDIR belongs to, loaded at boot. kbuild leaves depmod out where the headers come without a
# System.map, as Debian's do, and modprobe would not find the module; of the release only the module itself is sure.
kmod-install:
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) modules_install
	PATH="$$PATH:/usr/sbin:/sbin"; [ -n "$(DESTDIR)" ] || depmod "$$(modinfo -F vermagic mobility.ko | cut -d ' ' -f 1)"
	install -d $(DESTDIR)/etc/modules-load.d
	echo mobility >$(DESTDIR)/etc/modules-load.d/mobility.conf
# Not kbuild's clean: that one removes every *.ko below the top, the kernels in .cache/ included.
kmod-clean:
	rm -f mobility.ko mobility.o mobility.mod* Module.symvers modules.order .*.cmd kmod/compat/features.h
	find kmod '(' -name '*.o' -o -name '*.ko' -o -name '*.mod*' -o -name '.*.cmd' ')' -delete

# --- checks --------------------------------------------------------------------------------------

.PHONY: check check-unit check-flow check-vm check-cases check-mutations check-recovery check-delays check-fuzz model demo lint format
check: deps-guest
	@tests/check.sh
check-unit: deps-check
	@tests/check.sh unit
check-flow: deps-check all
	@tests/check.sh flow
check-vm: deps-guest all
	@tests/check.sh vm
check-cases: deps-guest all
	@tests/check.sh mutations cases
# Takes the protection of each case out of the module or the agent: the case has to fail.
check-mutations: deps-guest all
	@tests/vm/cases/mutate.sh
# Kernels from 5.10 to 7.x, two flavours of each; CASES="01 12" runs those cases only.
.PHONY: kmatrix kasan kcsan check-ioctl
kmatrix: deps-guest all
	@tests/vm/kmatrix.sh
# The guest tests of the module in kernels that check themselves; MINUTES of the ioctl fuzzer.
kasan kcsan: deps-guest all
	@tests/vm/sanitizer/run.sh $@
MINUTES ?= 10
check-ioctl: deps-guest
	@MOBILITY_KERNEL=kasan MINUTES=$(MINUTES) tests/vm/test-ioctl-fuzz.sh
# Every tenth of 200 points of a busy machine, judged by the recovery of its filesystems.
check-recovery: deps-guest all
	@BOUNDARIES=200 RECOVER_EVERY=10 tests/vm/run-all.sh oracle
# 10,000 points with every race window of the module held open.
check-delays: deps-guest
	@BOUNDARIES=10000 tests/vm/test-delays.sh
# Every stack of the table in the README.
.PHONY: check-stacks soak
check-stacks: deps-guest all
	@tests/vm/stacks.sh
# Real databases under load: every point recovered, random kills at every phase.
.PHONY: check-apps bench-freeze
check-apps: deps-guest all
	@tests/vm/test-nasty-writers.sh
	@POINTS=6 SCHEDULED=10 KILLS=100 tests/vm/test-apps.sh
bench-freeze: deps-guest all
	@tests/bench/freeze.sh
soak: deps-guest
	@MINUTES=$(if $(filter file,$(origin MINUTES)),30,$(MINUTES)) tests/vm/soak.sh
check-fuzz: deps-check
	@tests/check.sh fuzz
model: deps-check
	@tests/model/run.sh full
demo: deps-guest all
	@tests/vm/demo.sh
.PHONY: bench-replication
bench-replication: deps-bench deps-guest all $(B)/bench/floor
	@status=0; tests/bench/replication.sh || status=$$?; tests/bench/replication-guest.sh && exit $$status
.PHONY: bench-kmod
bench-kmod: deps-guest
	@tests/bench/kmod.sh
# What the appliance does for many machines at once, and how fast a point comes out of it.
.PHONY: bench-appliance bench-export
bench-appliance: deps-check all
	@tests/bench/appliance.sh
bench-export: deps-check all
	@tests/bench/export.sh
lint: deps-check
	@tests/lint/run.sh

format_src = $(shell git ls-files '*.c' '*.h' | grep -v -e '^kmod/' -e '^tests/unit/kmod/' -e uapi.h)
format: deps-check
	clang-format-14 -i $(format_src)

# --- installation --------------------------------------------------------------------------------

writers := $(wildcard vss-shim/writers.d/[0-9][0-9]-*)

# Below /usr alone: the units and vss-shim name these paths.
.PHONY: install
install: all
	install -D -m 0755 -t $(DESTDIR)/usr/sbin $(B)/bin/mobilityd $(B)/bin/mobility-appliance $(B)/bin/vss-shim
	install -D -m 0755 -t $(DESTDIR)/usr/bin $(B)/bin/mobilityctl
	install -D -m 0644 -t $(DESTDIR)/usr/share/man/man8 docs/man/*.8
	install -D -m 0644 -t $(DESTDIR)/usr/share/man/man7 docs/man/*.7
	install -D -m 0644 -t $(DESTDIR)/usr/share/man/man5 docs/man/*.5
	install -D -m 0644 -t $(DESTDIR)/lib/systemd/system packaging/systemd/*.service
	install -D -m 0644 -t $(DESTDIR)/usr/include/mobility include/mobility/uapi.h include/mobility/wire.h
	install -D -m 0644 -t $(DESTDIR)/usr/share/doc/mobility docs/status.schema.json docs/protocol.md docs/store.md
	install -d -m 0755 $(DESTDIR)/usr/lib/mobility/writers.d
	install -m 0755 -t $(DESTDIR)/usr/lib/mobility/writers.d $(writers)
	install -m 0644 -t $(DESTDIR)/usr/lib/mobility vss-shim/writer.sh
	install -d -m 0700 $(DESTDIR)/etc/mobility
	install -d -m 0755 $(DESTDIR)/etc/mobility/writers.d

.PHONY: clean
clean: kmod-clean
	rm -rf build

.PHONY: help
help:
	@echo 'make all                 build mobilityd, mobilityctl, vss-shim and mobility-appliance into build/bin'
	@echo 'make kmod KDIR=DIR       build mobility.ko for the kernel whose headers are in DIR'
	@echo 'make kmod-install KDIR=DIR   install it for that kernel, to be loaded at boot'
	@echo 'make demo                protect a live guest, kill it, recover it; ends with a table'
	@echo 'make check               lint, unit (sanitizers), model, fuzz, flow, guests, cases, a second kernel, demo'
	@echo 'make check-unit|check-flow|check-vm|check-cases|check-fuzz   one part of it'
	@echo 'make check-mutations     does each case fail without the protection that it is about?'
	@echo 'make kmatrix             build, load and test the module on kernels from 5.10 to 7.x'
	@echo 'make kasan               the tests of the module in a kernel with KASAN, lockdep, kmemleak, ...'
	@echo 'make kcsan               the same in a kernel that looks for data races'
	@echo 'make check-ioctl MINUTES=10   call the module at random in the first of these kernels'
	@echo 'make check-recovery      recover the filesystems of many points of a busy guest'
	@echo 'make check-delays        take 10,000 points with every race window of the module held open'
	@echo 'make check-stacks        protect every stack of the table in README.md, and print it'
	@echo 'make soak MINUTES=N      a random storm over many stacks in a guest (30 minutes)'
	@echo 'make check-apps          busy databases in a guest: recover every point, kill at every phase'
	@echo 'make bench-freeze        how long applications and filesystems are held, next to locks held while copying'
	@echo 'make bench-replication   how fast the data path is, next to nbdcopy, rsync, sha256sum and cp'
	@echo 'make bench-kmod          what the module costs, in instructions, next to dm-snapshot and dm-era'
	@echo 'make bench-appliance     200 machines at one appliance: memory, fairness, latency of small commits'
	@echo 'make bench-export        exporting recovery points against cp'
	@echo 'make model               check the boundary protocol exhaustively with spin (minutes, 4 GB)'
	@echo 'make lint                formatting, static analysis, conventions'
	@echo 'make format              clang-format the userspace sources'
	@echo 'make install DESTDIR=    install programs, man pages, documents and units'
	@echo 'make clean               remove build/ and the module that was built (the downloads in .cache/ stay)'
	@echo 'SAN=address,undefined or SAN=thread, CC=clang: variants, each in its own folder'

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
.SECONDARY:
.DELETE_ON_ERROR:
