# authz: fine-grained access control inside PostgreSQL.
#
#   make demo               set up, build, install, show it on real rows   (make demo-stop removes it;
#                           SHOW=6 shows only section 6)
#   make test               set up, build, run every test in clusters of its own
#                           (PARTS="regress tap" and ONLY="identity" narrow it)
#   make test-fresh         both of these in a fresh Debian 12 with its updates, as root
#   make bench              the ratios that the README quotes
#   make test-asan          the tests of the C code under AddressSanitizer and UBSan
#   make fuzz               a longer search by the fuzzers (FUZZ_SECONDS=60)
#   make deps               only the set-up that those do first
#   make && make install    the ordinary way in; PG_CONFIG is honoured
#   make installcheck       regress and isolation tests against a running server

EXTENSION = authz
MODULE_big = authz
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA_built = authz--1.0.sql

# In dependency order.
SQL = schema history role issuer revocation identity policy protect exempt mask_function mask recursion masked_view record denial maintenance attempt ddl upgrade grant audit audit_trail audit_ddl audit_schema access audit_seal taken_name status replication

# libjwt is loaded at run time, never linked: its symbols would meet those of postgres.
LIBJWT_SONAME := $(or $(notdir $(firstword $(wildcard $(addsuffix /libjwt.so.[0-9],/usr/lib/*-linux-gnu /usr/lib64 /usr/lib /usr/local/lib)))),libjwt.so.0)

PG_CPPFLAGS = -DAUTHZ_LIBJWT_SONAME='"$(LIBJWT_SONAME)"'
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-declaration-after-statement
SHLIB_LINK = -lcrypto -ldl
EXTRA_CLEAN = test/results test/regression.out test/regression.diffs test/tmp_check

# PostgreSQL 15 looks below the output directory first: inputs come from
# test/sql and test/specs, answers from expected.
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
# Its name is in answers.
override CONTRIB_TESTDB = authz_regress
REGRESS_OPTS = --inputdir=. --outputdir=test --load-extension=authz --launcher='bash test/lib/clean.sh'
ISOLATION_OPTS := $(REGRESS_OPTS)

PG_CONFIG ?= pg_config

# These install what is missing before they call make again for the rest, so
# they must not need PGXS themselves.
OWN_GOALS = deps demo demo-stop test test-fresh test-asan fuzz bench

ifneq ($(filter-out $(OWN_GOALS),$(or $(MAKECMDGOALS),all)),)
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
$(error no PostgreSQL server headers: '$(PG_CONFIG) --pgxs' finds nothing; "make deps" installs them on Debian 12, elsewhere set PG_CONFIG)
endif
override with_llvm := no
include $(PGXS)

authz--1.0.sql: $(SQL:%=sql/%.sql) Makefile
	@{ printf '%s\n' '\echo Use "CREATE EXTENSION authz" to load this file. \quit' && cat $(SQL:%=sql/%.sql); } > $@.tmp && mv $@.tmp $@

$(OBJS): Makefile $(wildcard src/*.h)
endif

# What the scripts get; the command line's own PARTS= and the like go with it.
WITH = MAKE='$(MAKE)' PG_CONFIG='$(PG_CONFIG)' PARTS='$(PARTS)' ONLY='$(ONLY)' FUZZ_SECONDS='$(FUZZ_SECONDS)' AUTHZ_SEED='$(AUTHZ_SEED)'

.PHONY: $(OWN_GOALS)

deps:
	@$(WITH) bash test/lib/deps.sh

# Installs only what it needs itself.
demo:
	@$(WITH) SHOW='$(SHOW)' bash test/demo/demo.sh start

demo-stop:
	@$(WITH) bash test/demo/demo.sh stop

test: deps
	@$(WITH) bash test/lib/stage.sh test/lib/run.sh

# Its own set-up is inside.
test-fresh:
	@$(WITH) bash test/lib/fresh.sh

test-asan: deps
	@$(WITH) SANITIZE=1 bash test/lib/stage.sh test/lib/run.sh

fuzz: PARTS = fuzz
fuzz: FUZZ_SECONDS ?= 60
fuzz: deps
	@$(WITH) bash test/lib/stage.sh test/lib/run.sh

bench: deps
	@$(WITH) bash test/lib/stage.sh test/bench/run.sh
	@$(WITH) bash test/lib/stage.sh test/bench/audit.sh
