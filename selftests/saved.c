// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules that stay: listenq clamp --save and --restore, of the host's own namespace and
 * of those with a name, over an unload; that nothing is lost where a write fails, and
 * that nobody's newer rules are.
 */

#define _GNU_SOURCE
#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "servers.h"

#define HOST	"/etc/listenq/clamp"
#define NAMED	"/etc/netns/lqsaved/listenq/clamp"
#define OTHER	"/etc/netns/lqother/listenq/clamp"
#define RULES	"7001 somaxconn 1000 floor 64\n7000-7009 floor 20\n* somaxconn 9\nunix:/run/a.sock floor 50\n"

/* The tool in the host's own namespace, which the test is not in. */
#define host(format, ...)						\
	run("nsenter -t 1 -n env LC_ALL=C %s " format " 2>&1", tool_path(), ##__VA_ARGS__)

static void clean_up(void)
{
	run("nsenter -t 1 -n %s clamp flush; for name in lqsaved lqother; do\n"
	    "umount /etc/netns/$name/listenq; ip netns delete $name; done 2>&1\n"
	    "rm -rf /etc/listenq /etc/netns", tool_path());
}

FIXTURE(saved)
{
	bool loaded;
};

FIXTURE_SETUP(saved)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	LQ_SKIP_FOR(enter_folder() ?: lacks("nsenter"));
	clean_up();
	ASSERT_EQ(0, run("ip netns add lqsaved && ip netns add lqother"));
}

FIXTURE_TEARDOWN(saved)
{
	clean_up();
	run("rm -rf %s", folder);
	EXPECT_EQ(0, lq_restore(self->loaded));
}

static void reload(struct __test_metadata *_metadata, const char *parameters)
{
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, run("modprobe listenq %s 2>&1", parameters)) {
		TH_LOG("%s", output);
	}
}

/* Each namespace has its own again, and one that has saved none has none. */
TEST_F(saved, over_a_load)
{
	ASSERT_EQ(0, host("clamp 80 floor 7"));
	ASSERT_EQ(0, run("printf '" RULES "' >rules"));
	ASSERT_EQ(DONE, tool("-N lqsaved clamp -f rules"));
	ASSERT_EQ(0, run("nsenter --net=/run/netns/lqother %s clamp 81 floor 1",
			 tool_path()));
	EXPECT_EQ(DONE, host("clamp --save"));
	EXPECT_STREQ(HOST ": 1 rule\n", output);
	EXPECT_OUTPUT(NAMED ": 4 rules\n", tool("-N lqsaved clamp --save"));
	EXPECT_OUTPUT("644 80 floor 7\n", run("echo $(stat -c %%a " HOST ") $(cat " HOST ")"));

	reload(_metadata, "");
	EXPECT_OUTPUT("", tool("-N lqsaved clamp"));
	EXPECT_OUTPUT("the host: 1 rule\nlqsaved: 4 rules\n",
		      tool("clamp --restore"));
	EXPECT_EQ(DONE, host("clamp"));
	EXPECT_STREQ("80 floor 7\n", output);
	EXPECT_RUN(DONE, tool("-N lqsaved clamp >now; diff rules now"));
	EXPECT_OUTPUT("", tool("-N lqother clamp"));
	/* It is one write: a namespace that is entered by its name has them, too. */
	EXPECT_OUTPUT(NAMED ": 4 rules\n",
		      run("nsenter --net=/run/netns/lqsaved %s clamp --save",
			  tool_path()));
}

/* Rules that somebody has written since are not replaced; the parameter's are. */
TEST_F(saved, newer_rules_stay)
{
	ASSERT_EQ(0, run("mkdir -p /etc/netns/lqsaved/listenq /etc/netns/lqother/listenq"));
	ASSERT_EQ(0, run("printf '# mine\n80 floor 7\n' >" NAMED "; cp " NAMED " " OTHER));
	ASSERT_EQ(DONE, tool("-N lqsaved clamp 99 floor 1"));
	EXPECT_OUTPUT("lqother: 1 rule\nlqsaved: has 1 rule, left as it is\n",
		      tool("clamp --restore"));
	EXPECT_OUTPUT("99 floor 1\n", tool("-N lqsaved clamp"));
	EXPECT_OUTPUT("lqother: has 1 rule, left as it is\nlqsaved: has 1 rule, left as it is\n",
		      tool("clamp --restore"));

	reload(_metadata, "somaxconn=77");
	EXPECT_OUTPUT("* somaxconn 77\n", tool("-N lqsaved clamp"));
	EXPECT_SAYS("lqsaved: 1 rule\n", tool("clamp --restore"));
	EXPECT_OUTPUT("80 floor 7\n", tool("-N lqsaved clamp"));
	/* Comments alone are no rules. */
	ASSERT_EQ(0, run("echo '# none' >" NAMED));
	reload(_metadata, "");
	EXPECT_SAYS("lqsaved: 0 rules\n", tool("clamp --restore"));
}

/* One namespace's trouble is not another's. */
TEST_F(saved, bad_files)
{
	ASSERT_EQ(0, run("for i in saved other gone; do mkdir -p /etc/netns/lq$i/listenq; done"));
	ASSERT_EQ(0, run("echo 80 floor 7 >" NAMED "; cp " NAMED " /etc/netns/lqgone/listenq/"));
	ASSERT_EQ(0, run("printf '81 floor 1\n80 flour 7\n' >" OTHER));
	EXPECT_RUN(TROUBLE, tool("clamp --restore"));
	EXPECT_TRUE(says("lqsaved: 1 rule\n"));
	EXPECT_TRUE(says("listenq: " OTHER ": clamp: not a rule: line 2: "));
	EXPECT_TRUE(says("not all saved rules are in force\n"));
	EXPECT_EQ(NULL, strstr(output, "lqgone"));
	EXPECT_OUTPUT("80 floor 7\n", tool("-N lqsaved clamp"));
	/* All of a file or nothing; what the module says of the line is its own. */
	EXPECT_RUN(DONE, tool("-N lqother clamp | grep -v '^#'; true"));
	EXPECT_STREQ("", output);
}

/* The rules that were saved before are still there, whatever goes wrong. */
TEST_F(saved, failed_writes)
{
	ASSERT_EQ(DONE, tool("-N lqsaved clamp 80 floor 7"));
	ASSERT_EQ(0, run("mkdir -p /etc/netns/lqsaved/listenq"));
	ASSERT_EQ(0, mount("listenq", "/etc/netns/lqsaved/listenq", "tmpfs", 0,
			   "size=8k,nr_inodes=8"));
	ASSERT_EQ(DONE, tool("-N lqsaved clamp --save"));
	ASSERT_EQ(0, run("dd if=/dev/zero of=/etc/netns/lqsaved/listenq/fill 2>&1; true"));
	ASSERT_EQ(DONE, tool("-N lqsaved clamp 81 floor 8"));
	EXPECT_TROUBLE(tool("-N lqsaved clamp --save"));
	EXPECT_TRUE(says(NAMED ": No space left on device\n"));
	EXPECT_OUTPUT("80 floor 7\n", run("cat " NAMED));
	EXPECT_OUTPUT("clamp\nfill\n", run("ls /etc/netns/lqsaved/listenq"));

	ASSERT_EQ(0, run("cd /etc/netns/lqsaved/listenq; rm fill; mount -o remount,ro $PWD"));
	EXPECT_TROUBLE(tool("-N lqsaved clamp --save"));
	EXPECT_OUTPUT("80 floor 7\n", run("cat " NAMED));
	ASSERT_EQ(0, umount("/etc/netns/lqsaved/listenq"));

	/* A file where a folder has to be, and a module that is not there. */
	ASSERT_EQ(0, run("rm -r /etc/netns/lqsaved && touch /etc/netns/lqsaved"));
	EXPECT_TROUBLE(tool("-N lqsaved clamp --save"));
	ASSERT_EQ(0, run("rm /etc/netns/lqsaved"));
	ASSERT_EQ(DONE, tool("-N lqsaved clamp --save"));
	ASSERT_EQ(0, lq_unload());
	EXPECT_TROUBLE(tool("-N lqsaved clamp --save"));
	EXPECT_OUTPUT("80 floor 7\n81 floor 8\n", run("cat " NAMED));
	EXPECT_TROUBLE(tool("clamp --restore"));
	EXPECT_TRUE(says("the module is not loaded"));
	ASSERT_EQ(0, lq_load());
}

/* It has no name that will be the same. */
TEST_F(saved, nameless)
{
	EXPECT_TROUBLE(tool("clamp --save"));
	EXPECT_TRUE(says("ip netns attach"));
	EXPECT_TROUBLE(tool("-N %d clamp --save", getpid()));
	EXPECT_EQ(-1, access(HOST, F_OK));

	EXPECT_TROUBLE(tool("clamp --save --restore"));
	EXPECT_TROUBLE(tool("clamp --save 80 floor 7"));
	EXPECT_TROUBLE(tool("clamp --restore --dry-run"));
	EXPECT_TROUBLE(tool("-N lqsaved clamp --restore"));
	EXPECT_TROUBLE(tool("-a clamp --save"));
}

/* ---- the units of systemd ---- */

FIXTURE(units)
{
	bool loaded;
};

FIXTURE_SETUP(units)
{
	self->loaded = lq_loaded();
	LQ_SETUP();
	LQ_SKIP_FOR(lq_setup_units() ?: lacks("udevadm") ?: lacks("listenq"));
	clean_up();
	ASSERT_EQ(0, run("mkdir -p /etc/listenq /etc/netns/lqsaved/listenq"));
	ASSERT_EQ(0, run("echo 80 floor 7 >" HOST "; echo 81 floor 8 >" NAMED));
}

FIXTURE_TEARDOWN(units)
{
	run("systemctl disable --now listenq-clamp.path listenq-clamp.service 2>&1");
	clean_up();
	EXPECT_EQ(0, lq_restore(self->loaded));
}

static bool are_rules(const char *netns, const char *rules)
{
	return !run("nsenter --net=%s listenq clamp", netns) &&
	       !strcmp(output, rules);
}

/* Each load has them, with udev's help; and what is made later has, too. */
TEST_F_TIMEOUT(units, each_load, SLOW_TIMEOUT)
{
	EXPECT_EQ(0, run("systemd-analyze verify --man=no listenq-clamp.service 2>&1"));
	EXPECT_STREQ("", output);
	EXPECT_EQ(0, run("udevadm verify /usr/local/lib/udev/rules.d/70-listenq.rules 2>&1"));
	ASSERT_EQ(0, lq_unload());
	ASSERT_EQ(0, run("systemctl enable --now listenq-clamp.service 2>&1"));
	ASSERT_EQ(0, run("systemctl enable --now listenq-clamp.path 2>&1"));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, lq_load());
		EXPECT_TRUE(lq_wait_until(are_rules("/proc/1/ns/net", "80 floor 7\n"))) {
			run("systemctl status listenq-clamp sys-module-listenq.device 2>&1");
			TH_LOG("%s", output);
		}
		ASSERT_EQ(0, lq_unload());
	}
	ASSERT_EQ(0, lq_load());
	ASSERT_EQ(0, run("ip netns add lqsaved"));
	EXPECT_TRUE(lq_wait_until(are_rules("/run/netns/lqsaved", "81 floor 8\n"))) {
		run("systemctl status listenq-clamp.service listenq-clamp.path 2>&1");
		TH_LOG("%s", output);
	}
}

TEST_HARNESS_MAIN
