// SPDX-License-Identifier: GPL-2.0-only
/*
 * The systemd unit, the pod and the container that listenq(8) says a listener belongs
 * to: from cgroups as systemd and container engines make them, with either version
 * of cgroups, and from those that somebody makes to look like another's.
 */

#define _GNU_SOURCE
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "listenq.h"
#include "samples.h"
#include "servers.h"

#define ID	"3f2a1b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708"
#define OTHER	"0011223344556677889900112233445566778899001122334455667788990011"
#define POD	"0d1e2f30-4152-6374-8596-a7b8c9d0e1f2"
#define POD_	"0d1e2f30_4152_6374_8596_a7b8c9d0e1f2"
#define PODS	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice/"
#define KIND	"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_ ".slice/"
#define LEGACY	"/system.slice/containerd.service/kubepods-pod" POD_ ".slice:cri-containerd:"
#define USERS	"/user.slice/user-1000.slice/user@1000.service/"
#define HASH	"0d1e2f30415263748596a7b8c9d0e1f2"

/* Process @pid, which has the socket of @inode open, and is in @cgroup. */
static void save_process(int pid, int inode, const char *cgroup)
{
	char path[32];

	if (run("set -e; mkdir -p %1$d/fd; cd %1$d; echo server >comm\n"
		"echo '%1$d (server) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0' >stat\n"
		"ln -sf 'socket:[%2$d]' fd/3", pid, inode))
		errx(1, "%s", output);
	snprintf(path, sizeof(path), "%d/cgroup", pid);
	write_text(path, cgroup);
}

/* It has called listen() for the first listener, too. */
static void save_holder(const char *cgroup)
{
	save_process(77, 901, cgroup);
}

FIXTURE(units)
{
};

FIXTURE_SETUP(units)
{
	const char *why = enter_folder();

	if (why)
		SKIP(return, "%s", why);
	write_sample();
	save_process(1, 1, "0::/init.scope\n");
	EXPECT_EQ(0, run("echo 1000.00 1000.00 >uptime"));
	change_sample("sockets", "NR == 2 { $6 = 77 } NR > 2 { $6 = \"-\" } 1");
}

FIXTURE_TEARDOWN(units)
{
	run("rm -rf %s", folder);
}

/*
 * What is read from where: how it stands in JSON, in the table, and as a label; in
 * metrics, what a user has named is not a label of its own.
 */
static const struct made {
	const char *cgroup;
	const char *unit, *container, *engine, *pod;
	const char *text, *label;
} made[] = {
	/* systemd */
	{ "0::/system.slice/nginx.service\n", .unit = "nginx.service",
	  .text = "nginx.service", .label = "unit=\"nginx.service\"" },
	{ "0::/system.slice/system-getty.slice/getty@tty1.service\n",
	  .unit = "getty@tty1.service", .text = "getty@tty1.service",
	  .label = "unit=\"getty@tty1.service\"" },
	{ "0::/system.slice/a.service/inner/b.service\n", .unit = "a.service",
	  .text = "a.service", .label = "unit=\"a.service\"" },
	{ "0::/system.slice/dev-disk-by\\x2did.swap\n",
	  .unit = "dev-disk-by\\\\x2did.swap", .text = "dev-disk-by\\x2did.swap",
	  .label = "unit=\"dev-disk-by\\\\x2did.swap\"" },
	{ "0::/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service\n",
	  .unit = "systemd-nspawn@web.service", .text = "systemd-nspawn@web.service",
	  .label = "unit=\"systemd-nspawn@web.service\"" },
	{ "12:pids:/system.slice/cron.service\n1:name=systemd:/system.slice/cron.service\n0::/\n",
	  .unit = "cron.service", .text = "cron.service",
	  .label = "unit=\"cron.service\"" },
	{ "0::/user.slice/user-1000.slice/session-3.scope\n",
	  .unit = "session-3.scope", .text = "session-3.scope",
	  .label = "unit=\"user-1000.slice\"" },
	{ "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n",
	  .unit = "user@1000/web.service", .text = "user@1000/web.service",
	  .label = "unit=\"user-1000.slice\"" },
	{ "1:name=systemd:/user.slice/user-1000.slice/user@1000.service/init.scope\n",
	  .unit = "user@1000/init.scope", .text = "user@1000/init.scope",
	  .label = "unit=\"user-1000.slice\"" },
	/* A name that the kernel could take for its own */
	{ "0::/system.slice/_cpu.service\n", .unit = "cpu.service",
	  .text = "cpu.service", .label = "unit=\"cpu.service\"" },
	/* docker: systemd's driver, cgroupfs, version 1, rootless */
	{ "0::/system.slice/docker-" ID ".scope\n", .container = ID,
	  .engine = "docker", .text = "docker:3f2a1b4c5d6e",
	  .label = "container=\"" ID "\"" },
	{ "0::/docker/" ID "\n", .container = ID, .text = "3f2a1b4c5d6e",
	  .label = "container=\"" ID "\"" },
	{ "12:pids:/docker/" ID "\n1:name=systemd:/docker/" ID "\n"
	  "0::/system.slice/containerd.service\n", .container = ID,
	  .text = "3f2a1b4c5d6e", .label = "container=\"" ID "\"" },
	{ "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope\n",
	  .unit = "user@1000.service", .container = ID, .engine = "docker",
	  .text = "user@1000.service/docker:3f2a1b4c5d6e", .label = "unit=\"user-1000.slice\"" },
	/* containerd under Kubernetes: systemd's driver, cgroupfs, a static pod */
	{ "0::" PODS "cri-containerd-" ID ".scope\n", .container = ID, .engine = "containerd",
	  .pod = POD, .text = "containerd:3f2a1b4c5d6e",
	  .label = "pod_uid=\"" POD "\"" },
	{ "0::/kubepods/besteffort/pod" POD "/" ID "\n", .container = ID,
	  .pod = POD, .text = "3f2a1b4c5d6e", .label = "pod_uid=\"" POD "\"" },
	{ "4:cpu:/kubepods/pod" POD "/" ID "\n1:name=systemd:/kubepods/pod" POD "/" ID "\n",
	  .container = ID, .pod = POD, .text = "3f2a1b4c5d6e",
	  .label = "pod_uid=\"" POD "\"" },
	{ "0::/kubepods.slice/kubepods-pod" HASH ".slice/cri-containerd-" ID ".scope\n",
	  .container = ID, .engine = "containerd", .pod = HASH,
	  .text = "containerd:3f2a1b4c5d6e", .label = "pod_uid=\"" HASH "\"" },
	{ "0::/" KIND "cri-containerd-" ID ".scope\n",
	  .container = ID, .engine = "containerd", .pod = POD,
	  .text = "containerd:3f2a1b4c5d6e", .label = "pod_uid=\"" POD "\"" },
	{ "1:name=systemd:" LEGACY ID "\n", .unit = "containerd.service",
	  .container = ID, .engine = "containerd", .pod = POD,
	  .text = "containerd.service/containerd:3f2a1b4c5d6e",
	  .label = "unit=\"containerd.service\"" },
	/* CRI-O, and what inits its containers have below */
	{ "0::" PODS "crio-" ID ".scope/container\n", .container = ID, .engine = "cri-o",
	  .pod = POD, .text = "cri-o:3f2a1b4c5d6e", .label = "pod_uid=\"" POD "\"" },
	{ "0::/kubepods/burstable/pod" POD "/crio-" ID "\n", .container = ID,
	  .engine = "cri-o", .pod = POD, .text = "cri-o:3f2a1b4c5d6e",
	  .label = "pod_uid=\"" POD "\"" },
	{ "0::/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" ID ".scope\n",
	  .pod = POD, .text = "pod:" POD, .label = "pod_uid=\"" POD "\"" },
	/* podman: of root, rootless, cgroupfs, of a unit (Quadlet), its monitor */
	{ "0::/machine.slice/libpod-" ID ".scope/container\n", .container = ID,
	  .engine = "podman", .text = "podman:3f2a1b4c5d6e",
	  .label = "container=\"" ID "\"" },
	{ "0::" USERS "user.slice/libpod-" ID ".scope/container\n",
	  .unit = "user@1000.service", .container = ID, .engine = "podman",
	  .text = "user@1000.service/podman:3f2a1b4c5d6e", .label = "unit=\"user-1000.slice\"" },
	{ "0::/libpod_parent/libpod-" ID "\n", .container = ID,
	  .engine = "podman", .text = "podman:3f2a1b4c5d6e",
	  .label = "container=\"" ID "\"" },
	{ "0::/system.slice/web.service/libpod-payload-" ID "\n",
	  .unit = "web.service", .container = ID, .engine = "podman",
	  .text = "web.service", .label = "unit=\"web.service\"" },
	{ "0::/machine.slice/libpod-conmon-" ID ".scope\n",
	  .unit = "libpod-conmon-" ID ".scope",
	  .text = "libpod-conmon-" ID ".scope",
	  .label = "unit=\"libpod-conmon-" ID ".scope\"" },
	/* A container in a container, as Kubernetes in Docker is */
	{ "0::/system.slice/docker-" ID ".scope/" KIND "cri-containerd-" OTHER ".scope\n",
	  .container = ID, .engine = "docker", .text = "docker:3f2a1b4c5d6e",
	  .label = "container=\"" ID "\"" },
	/* What somebody else has named */
	{ "0::/system.slice/docker-" ID ".scope/system.slice/nginx.service\n",
	  .container = ID, .engine = "docker", .text = "docker:3f2a1b4c5d6e",
	  .label = "container=\"" ID "\"" },
	{ "0::/system.slice/mine.service/docker-" OTHER ".scope\n",
	  .unit = "mine.service", .container = OTHER, .engine = "docker",
	  .text = "mine.service/docker:001122334455", .label = "unit=\"mine.service\"" },
	{ "0::/user.slice/user-1000.slice/user@1000.service/system.slice/nginx.service\n",
	  .unit = "user@1000/nginx.service", .text = "user@1000/nginx.service",
	  .label = "unit=\"user-1000.slice\"" },
	/* Nothing that is known */
	{ "0::/\n" }, { "" }, { "\n" }, { "0::\n" }, { "::" }, { "nginx.service\n" },
	{ "0::/lxc.payload.web/system.slice/nginx.service\n" },
	{ "0::/lxc.payload.web/docker/" ID "\n" },
	{ "0::/lxc/web/system.slice/docker-" ID ".scope\n" },
	{ "0::/lxc.payload.web/kubepods/pod" POD "/" ID "\n" },
	{ "1:name=systemd:/user/mallory/0/docker/" ID "\n" },
	{ "0::/system.slice\n" }, { "0::/../../nginx.service\n" },
	{ "0::/system.slice/-x.service\n" }, { "0::/system.slice/a b.service\n" },
	{ "0::/system.slice/a\033[31m.service\n" },
	{ "0::/docker/3f2a1b4c\n" }, { "0::/kubepods/podded\n" },
};

/* A value of JSON, by name. */
static bool json_has(const char *line, const char *name, const char *value)
{
	return line_has(line, value ? "\"%s\": \"%s\", " : "\"%s\": null, ", name,
			value);
}

/* Listener number n has port 8000 + n, inode 1000 + n, and process 100 + n. */
static void check_made(struct __test_metadata *_metadata, size_t number)
{
	const struct made *one = &made[number];
	char port[32];
	const char *line;
	bool good;

	snprintf(port, sizeof(port), ":%zu\"", 8000 + number);
	line = line_with(port);
	good = json_has(line, "unit", one->unit);
	good &= json_has(line, "container", one->container);
	good &= json_has(line, "engine", one->engine);
	good &= json_has(line, "pod_uid", one->pod);
	EXPECT_TRUE(good) {
		TH_LOG("%s", one->cgroup);
	}
}

TEST_F(units, as_engines_make_them)
{
	char text[256];
	size_t i;

	change_sample("sockets", "NR == 1; NR == 3 { for (i = 0; i < 100; i++) {"
		      " $2 = \"127.0.0.1:\" 8000 + i; $3 = 1000 + i; $4 = 1000 + i;"
		      " $6 = 100 + i; print } }");
	EXPECT_EQ(0, run("sed -i 1q net/listenq/waits net/listenq/handshakes"));
	for (i = 0; i < ARRAY_SIZE(made); i++)
		save_process(100 + i, 1000 + i, made[i].cgroup);

	EXPECT_RUN(DONE, tool("-j --proc ."));
	for (i = 0; i < ARRAY_SIZE(made); i++)
		check_made(_metadata, i);
	EXPECT_RUN(DONE, run("LC_ALL=C COLUMNS=300 %s --proc .", tool_path()));
	for (i = 0; i < ARRAY_SIZE(made); i++) {
		snprintf(text, sizeof(text), ":%zu ", 8000 + i);
		EXPECT_TRUE(line_has(line_with(text), " %s ", made[i].text ?: "-")) {
			TH_LOG("%s", made[i].cgroup);
		}
	}
	EXPECT_RUN(DONE, tool("-m --proc . | grep ^listenq_sockets"));
	for (i = 0; i < ARRAY_SIZE(made); i++) {
		snprintf(text, sizeof(text), "port=\"%zu\"", 8000 + i);
		EXPECT_TRUE(line_has(line_with(text), "process=\"idle\"%s%s} 1",
				     made[i].label ? "," : "", made[i].label ?: "")) {
			TH_LOG("%s", made[i].cgroup);
		}
	}
}

/* Names that users have given are labels where all names are asked for. */
TEST_F(units, names_of_users)
{
	save_holder("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n");
	EXPECT_SAYS("process=\"all\",unit=\"user@1000/web.service\"} 1\n",
		    tool("-m --names all --proc . -p 7001 | grep ^listenq_sockets"));
	save_holder("0::" USERS "user.slice/libpod-" ID ".scope\n");
	EXPECT_SAYS("process=\"all\",container=\"" ID "\"} 1\n",
		    tool("-m --names all --proc . -p 7001 | grep ^listenq_sockets"));
}

/* Those that are chosen by it, and that nobody else is. */
TEST_F(units, filter)
{
	static const struct {
		const char *unit;
		bool is;
	} wanted[] = {
		{ "containerd:", false }, { "3f2a1b4c5d6e", true }, { ID, true },
		{ "3f2", true }, { "2a1b", false }, { "0d1e2f30-4152", true },
		{ "nginx", false },
	};

	save_holder("0::/kubepods/besteffort/pod" POD "/" ID "\n");
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		EXPECT_RUN(DONE, tool("-j --proc . -U %s", wanted[i].unit));
		EXPECT_EQ(wanted[i].is, !!strstr(output, ":7001\"")) {
			TH_LOG("-U %s: %s", wanted[i].unit, output);
		}
		EXPECT_EQ(NULL, strstr(output, ":7002\""));
	}
	save_holder("0::/system.slice/nginx.service\n");
	EXPECT_SAYS(":7001\"", tool("-j --proc . --unit NGINX"));
	EXPECT_SAYS(":7001\"", tool("-j --proc . -U nginx.service -p 7001"));
	EXPECT_OUTPUT("[]\n", tool("-j --proc . -U nginx.service -p 7002"));
	EXPECT_TROUBLE(tool("-U"));
}

/* A label is about who called listen(), if that process is still the one. */
TEST_F(units, another_process_of_that_number)
{
	save_holder("0::/system.slice/nginx.service\n");
	EXPECT_SAYS("unit=\"nginx.service\"",
		    tool("-m --proc . -p 7001 | grep ^listenq_sockets"));
	/* It began 980 s after boot; the listener 60 s ago, 940 s after. */
	EXPECT_EQ(0, run("sed -i 's/ 500 0$/ 98000 0/' 77/stat; rm 77/fd/3"));
	EXPECT_RUN(DONE, tool("-m --proc . -p 7001 | grep ^listenq_sockets"));
	EXPECT_EQ(NULL, strstr(output, "unit="));
	/* Who has it open is asked where the caller has gone. */
	save_process(78, 901, "0::/system.slice/nginx.service\n");
	EXPECT_SAYS("process=\"all\",unit=\"nginx.service\"",
		    tool("-m --proc . -p 7001 | grep ^listenq_sockets"));
}

/* ---- real ones ---- */

#define ROOT	"/tmp/listenq-units"
/* The VM's disk is an overlay already, on which there can be no other one. */
#define STORE	"/tmp/listenq-store"
#define PODMAN	"podman --storage-driver vfs --root " STORE " --runroot " STORE "/run "

/* The labels of busybox' httpd in a namespace of its own, and that there is one. */
#define IN(netns, port, label)						\
	"{netns=\"" netns "\",proto=\"tcp6\",address=\"::\",port=\"" port "\"," label "} 1\n"

FIXTURE(real)
{
};

FIXTURE_SETUP(real)
{
	LQ_SKIP_FOR(lq_setup_units() ?: lacks("listenq"));
	must("rm -rf " ROOT "; mkdir -p " ROOT "/bin; cp $(command -v busybox) " ROOT "/bin/");
}

FIXTURE_TEARDOWN(real)
{
	run("systemctl stop lqshared lqprivate lqcontainer 2>&1; systemctl reset-failed 2>&1;"
	    " " PODMAN "rm -f -t 0 lqweb 2>&1;"
	    " rm -rf " ROOT " " STORE);
}

static bool listens(const char *netns, int port)
{
	return !run("listenq %s -p %d -j | grep '\"%d\"\\|:%d\"'", netns, port,
		    port, port);
}

#define PRIVATE	"systemd-run -q --unit lqprivate -p PrivateNetwork=yes busybox httpd -f -p 7071 2>&1"

/* Units, in the host's network and in one of their own, over a restart. */
TEST_F_TIMEOUT(real, of_systemd, SLOW_TIMEOUT)
{
	char *before;

	must("systemd-run -q --unit lqshared busybox httpd -f -p 7070 2>&1");
	must(PRIVATE);
	EXPECT_TRUE(lq_wait_until(listens("", 7070)));
	EXPECT_TRUE(says("\"unit\": \"lqshared.service\", \"container\": null"));
	EXPECT_TRUE(lq_wait_until(listens("-N lqprivate.service", 7071)));
	EXPECT_TRUE(says("\"unit\": \"lqprivate.service\", "));
	EXPECT_SAYS(":7070\"", run("listenq -a -j -U lqshared"));
	EXPECT_EQ(NULL, strstr(output, ":7071\""));
	EXPECT_RUN(DONE, run("listenq -a -m | grep '^listenq_sockets.*707'"));
	EXPECT_TRUE(says("port=\"7070\",process=\"busybox\",unit=\"lqshared.service\"} 1\n"));
	EXPECT_TRUE(says(IN("lqprivate.service", "7071", "unit=\"lqprivate.service\"")));

	/* After a restart it has the same series, of the namespace, too. */
	must("listenq -a -m | grep -o '^listenq_.*lqprivate[^}]*' | sort");
	before = strdup(output);
	must("systemctl stop lqprivate");
	must(PRIVATE);
	EXPECT_TRUE(lq_wait_until(listens("-N lqprivate.service", 7071)));
	must("listenq -a -m | grep -o '^listenq_.*lqprivate[^}]*' | sort");
	EXPECT_STREQ(before, output);
	EXPECT_LE(50, lines(before));
	free(before);
}

static void start_podman(const char *how, const char *options)
{
	must("%s " PODMAN "run -d --name lqweb --network none --read-only %s --rootfs " ROOT
	     " /bin/busybox httpd -f -p 7072 2>&1", how, options);
}

/* podman's, by its id; and as a unit's payload, which has a new id each time. */
TEST_F_TIMEOUT(real, of_podman, SLOW_TIMEOUT)
{
	char id[65], text[256];

	LQ_SKIP_FOR(lacks("podman"));
	start_podman("", "");
	must(PODMAN "inspect -f '{{.Id}}' lqweb");
	snprintf(id, sizeof(id), "%.64s", output);
	snprintf(text, sizeof(text), "-N %.12s", id);
	EXPECT_TRUE(lq_wait_until(listens(text, 7072))) {
		run(PODMAN "logs lqweb 2>&1; cat /proc/$(pidof busybox)/cgroup");
		TH_LOG("%s", output);
	}
	snprintf(text, sizeof(text), "\"container\": \"%s\", \"engine\": \"podman\"", id);
	EXPECT_TRUE(says(text));
	snprintf(text, sizeof(text), IN("%.12s", "7072", "container=\"%s\""), id, id);
	EXPECT_RUN(DONE, run("listenq -a -m | grep '^listenq_sockets.*7072'"));
	EXPECT_TRUE(says(text));
	/* A restart, in a namespace of its own again. */
	must(PODMAN "restart -t 0 lqweb");
	EXPECT_TRUE(lq_wait_until(!run("listenq -a -m | grep '^listenq_sockets.*7072'")));
	EXPECT_TRUE(says(text));
	must(PODMAN "rm -f -t 0 lqweb");

	start_podman("systemd-run -q --unit lqcontainer -p Delegate=yes -p Type=forking",
		     "--cgroups=split");
	EXPECT_TRUE(lq_wait_until(listens("-N lqcontainer.service", 7072))) {
		run("systemctl status lqcontainer 2>&1; cat /proc/$(pidof busybox)/cgroup");
		TH_LOG("%s", output);
	}
	EXPECT_RUN(DONE, run("listenq -a -m | grep '^listenq_sockets.*7072'"));
	EXPECT_TRUE(says(IN("lqcontainer.service", "7072", "unit=\"lqcontainer.service\"")));
}

TEST_HARNESS_MAIN
