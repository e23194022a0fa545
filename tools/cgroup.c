// SPDX-License-Identifier: GPL-2.0-only
/*
 * Find the systemd unit, the pod and the container that a process belongs to, by its
 * cgroup: engines and systemd name cgroups after what they run, in ways that other
 * programs rely on (cAdvisor, systemd's sd_pid_get_unit(3)), so no daemon has to be
 * asked.
 *
 * A path is read from the root on, and the first match counts: cgroups below a unit
 * or a container are named by the processes in it, which could choose any other
 * one's name.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "procdir.h"

/* The length of an id made by docker, containerd, CRI-O or podman. */
#define ID_LENGTH	64
#define UID_LENGTH	36

/* podman's prefix when it runs in a unit that was made for the container. */
#define PAYLOAD	"libpod-payload-"

/*
 * Cgroups below a unit whose processes, called @comm, only look after what runs in the
 * unit, perhaps in another network. NULL: whatever they are called.
 */
static const struct {
	const char *name, *comm[2];
} supervisors[] = {
	{ "runtime", { "conmon", "podman" } },
	{ "supervisor", { "systemd-nspawn" } },
	{ ".control", { NULL } },
};

/* What engines put before the id: "docker-ID.scope". */
static const struct {
	const char *prefix, *engine;
} engines[] = {
	{ "docker-", "docker" },
	{ "cri-containerd-", "containerd" },
	{ "cri-containerd:", "containerd" },
	{ "nerdctl-", "containerd" },
	{ "crio-", "cri-o" },
	{ PAYLOAD, "podman" },
	{ "libpod-", "podman" },
	{ "", "" },
};

/* The kinds of units that have processes. */
static const char * const unit_types[] = {
	".service", ".scope", ".socket", ".mount", ".swap",
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);

	return length > wanted && !strcmp(text + length - wanted, end);
}

static bool is_unit(const char *name)
{
	static const char valid[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.@\\-";

	if ((!isalnum((unsigned char)*name) && !strchr("_:\\", *name)) ||
	    strspn(name, valid) != strlen(name))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(unit_types); i++)
		if (ends_with(name, unit_types[i]))
			return true;
	return false;
}

/* Cgroups that are no slices, and were made by the engines' own daemons. */
static bool is_engines(const char *name)
{
	return !strcmp(name, "docker") || !strcmp(name, "libpod_parent") ||
	       !strncmp(name, "kubepods", 8) || !strcmp(name, "kubelet") ||
	       !strcmp(name, "..");
}

/* ---- one name of a path ---- */

/*
 * "docker-ID.scope", "cri-containerd-ID.scope",
 * "kubepods...slice:cri-containerd:ID"; with the driver cgroupfs, "ID" below
 * "docker" or below a pod, without the engine's name. "libpod-conmon-ID.scope" has
 * podman's monitor, which is not in the container.
 */
static bool read_container(struct membership *membership, const char *name)
{
	size_t length = strlen(name), i;
	const char *id, *start;

	if (ends_with(name, ".scope"))
		length -= strlen(".scope");
	if (length < ID_LENGTH)
		return false;
	id = name + length - ID_LENGTH;
	if (strspn(id, "0123456789abcdef") < ID_LENGTH)
		return false;
	for (i = 0; i < ARRAY_SIZE(engines); i++) {
		start = id - strlen(engines[i].prefix);
		if (start < name ||
		    strncmp(start, engines[i].prefix, id - start))
			continue;
		/* The prefix follows a colon, or is at the beginning. */
		if (start > name && start[-1] != ':')
			continue;
		memcpy(membership->container, id, ID_LENGTH);
		membership->container[ID_LENGTH] = '\0';
		strcpy(membership->engine, engines[i].engine);
		membership->payload = *membership->unit &&
				      !strcmp(engines[i].prefix, PAYLOAD);
		return true;
	}
	return false;
}

/*
 * "pod0d1e...", "kubepods-burstable-pod0d1e_....slice": in systemd's slices, "-"
 * separates levels, so they have "_" where the UID has "-".
 */
static void read_pod(struct membership *membership, const char *name)
{
	const char *pod = strstr(name, "pod"), *next;
	size_t i;

	/* "kubepods" has "pod" in it, too: take the last one. */
	while (pod && (next = strstr(pod + 1, "pod")))
		pod = next;
	if (!pod || (pod > name && pod[-1] != '-'))
		return;
	pod += strlen("pod");
	/* A static pod's UID is a hash, without dashes. */
	for (i = 0; i < UID_LENGTH && pod[i] && strchr("0123456789abcdef_-", pod[i]); i++)
		membership->pod[i] = pod[i] == '_' ? '-' : pod[i];
	if (i < 32 || isalnum((unsigned char)pod[i]))
		i = 0;
	membership->pod[i] = '\0';
}

/* ---- a path ---- */

/**
 * struct walk - a path being read
 * @in_slices: all names so far were slices, so systemd named a unit that follows
 * @manager: the user whose systemd names what follows
 * @pods: this is where the kubelet has its pods
 */
struct walk {
	bool in_slices;
	char manager[16];
	bool pods;
};

/* "user@1000.service": cgroups below it are named by the user's own systemd. */
static bool is_manager(struct walk *walk, const char *name)
{
	size_t digits;

	if (strncmp(name, "user@", 5))
		return false;
	digits = strspn(name + 5, "0123456789");
	if (!digits || digits >= sizeof(walk->manager) ||
	    strcmp(name + 5 + digits, ".service"))
		return false;
	snprintf(walk->manager, sizeof(walk->manager), "%.*s", (int)digits,
		 name + 5);
	return true;
}

/* Take a unit of the system, or of the user whose systemd comes before it. */
static void take_unit(struct walk *walk, struct membership *membership,
		      const char *name)
{
	if (*walk->manager) {
		snprintf(membership->unit, sizeof(membership->unit),
			 "user@%s/%s", walk->manager, name);
		*walk->manager = '\0';
		return;
	}
	snprintf(membership->unit, sizeof(membership->unit), "%s", name);
	if (*membership->user)
		is_manager(walk, name);
}

/* Take a cgroup below a unit, made by a process of the unit. */
static void take_nested(struct membership *membership, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(supervisors); i++)
		if (!membership->nested && !strcmp(name, supervisors[i].name)) {
			membership->supervises = true;
			membership->supervisor = supervisors[i].comm;
		}
	if (!strncmp(name, "lxc.monitor", strlen("lxc.monitor")))
		membership->supervises = true;
	membership->nested = true;
}

/* Take the next name; true if nothing below it counts. */
static bool step(struct walk *walk, struct membership *membership,
		 const char *name)
{
	bool slice = ends_with(name, ".slice");

	/* systemd puts "_" before names that could be taken for the kernel's own. */
	name += *name == '_';
	if (!*membership->unit && !*membership->user &&
	    !strncmp(name, "user-", 5) && slice && walk->in_slices &&
	    strlen(name) < sizeof(membership->user))
		strcpy(membership->user, name);
	if (!strncmp(name, "kubepods", 8) || strstr(name, "-kubepods"))
		walk->pods = true;
	if (walk->pods && !*membership->pod)
		read_pod(membership, name);
	if (read_container(membership, name))
		return true;
	if (walk->pods && strstr(name, "conmon-"))
		membership->supervises = true;
	if (*membership->unit && !*walk->manager) {
		take_nested(membership, name);
		return false;
	}
	if (walk->in_slices && !walk->pods && is_unit(name)) {
		take_unit(walk, membership, name);
		return false;
	}
	if (walk->in_slices && !slice && !is_engines(name))
		return true;
	walk->in_slices = walk->in_slices && slice;
	return false;
}

static void read_path(struct membership *membership, char *path)
{
	struct walk walk = { .in_slices = true };
	char *name, *rest;

	for (name = strtok_r(path, "/", &rest); name;
	     name = strtok_r(NULL, "/", &rest))
		if (step(&walk, membership, name))
			return;
}

/* How much a line tells: version 1 has a line for each of its hierarchies. */
static int worth(const struct membership *membership, const char *controllers)
{
	if (*membership->container)
		return 4;
	if (!*membership->pod && !*membership->unit)
		return 0;
	return !strcmp(controllers, "name=systemd") ? 3 :
	       !*controllers ? 2 : 1;
}

/**
 * membership_parse() - read from /proc/PID/cgroup what a process belongs to
 * @membership: filled
 * @text: the file, lines "HIERARCHY:CONTROLLERS:PATH"
 *
 * With version 1, or both versions at once, a line with a container counts, else
 * systemd's own, else that of version 2.
 *
 * Return: whether it belongs to anything.
 */
bool membership_parse(struct membership *membership, const char *text)
{
	char *lines = strdup(text), *line, *rest, *controllers, *path;
	struct membership read;
	int best = 0, is;

	if (!lines)
		die("not enough memory");
	*membership = (struct membership) { };
	for (line = strtok_r(lines, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		controllers = strchr(line, ':');
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path)
			continue;
		controllers++;
		*path++ = '\0';
		read = (struct membership) { };
		read_path(&read, path);
		is = worth(&read, controllers);
		if (is > best) {
			best = is;
			*membership = read;
		}
	}
	free(lines);
	return best;
}

/* ---- a process ---- */

/*
 * Whether process @pid is what its cgroup is called after. A service can call its cgroups
 * so, too, and its main process still stands for it.
 */
static bool looks_after(const struct membership *membership, int pid)
{
	const char *const *of = membership->supervisor;
	char comm[64];

	/* Whatever it is called: .control, a pod's monitors, and LXC's. */
	if (!of || !of[0])
		return true;
	proc_comm(pid, comm, sizeof(comm));
	return !strcmp(comm, of[0]) || (of[1] && !strcmp(comm, of[1]));
}

/* What a process belongs to, for membership_release(); NULL if to nothing. */
struct membership *membership_of(int pid)
{
	char *text = proc_text(16384, "%d/cgroup", pid);
	struct membership read, *membership = NULL;

	if (text && membership_parse(&read, text)) {
		read.supervises = read.supervises && looks_after(&read, pid);
		membership = allocate(NULL, 1, sizeof(*membership));
		*membership = read;
		membership->references = 1;
	}
	free(text);
	return membership;
}

struct membership *membership_share(struct membership *membership)
{
	if (membership)
		membership->references++;
	return membership;
}

void membership_release(struct membership *membership)
{
	if (membership && !--membership->references)
		free(membership);
}

/* ---- names ---- */

/* Whether to name the unit, and not a container that a process of the unit runs. */
static bool is_of_unit(const struct membership *membership)
{
	return *membership->unit &&
	       (!*membership->container || membership->payload);
}

/*
 * One word for people: the unit; or else the container as its engine lists it, after
 * the unit that named it if there is one; or the pod.
 */
const char *membership_text(const struct membership *membership,
			    char text[TEXT_SIZE])
{
	if (!membership)
		strcpy(text, "-");
	else if (is_of_unit(membership))
		snprintf(text, TEXT_SIZE, "%.150s", membership->unit);
	else if (*membership->container)
		snprintf(text, TEXT_SIZE, "%.100s%s%s%s%.*s", membership->unit,
			 *membership->unit ? "/" : "", membership->engine,
			 *membership->engine ? ":" : "", SHORT_ID,
			 membership->container);
	else
		snprintf(text, TEXT_SIZE, "pod:%s", membership->pod);
	return text;
}

/*
 * Whether @name may mean this: it is a part of the unit's name, or the beginning of
 * the id of the container or pod.
 */
bool membership_is(const struct membership *membership, const char *name)
{
	size_t length = strlen(name);

	return membership &&
	       (strcasestr(membership->unit, name) ||
		!strncmp(membership->container, name, length) ||
		!strncmp(membership->pod, name, length));
}

/**
 * membership_lasting() - a name that is the same after a restart
 * @membership: of a process; may be NULL
 * @trusted: use names that users gave, too
 * @what: set to "unit", "pod_uid" or "container"
 *
 * A unit always has the same name, a pod as long as it exists, and a container until
 * it is created again, which podman does each time it starts a unit's container. An
 * untrusted user could choose new names at will, so all processes of one have the
 * name of the user's slice.
 *
 * Return: a string in @membership; "" where there is none.
 */
const char *membership_lasting(const struct membership *membership,
			       bool trusted, const char **what)
{
	*what = "unit";
	if (!membership)
		return "";
	if (*membership->user && !trusted)
		return membership->user;
	/*
	 * A container below a unit has a name chosen by the unit, so it needs trust,
	 * too.
	 */
	if (is_of_unit(membership) || (*membership->unit && !trusted))
		return membership->unit;
	*what = *membership->pod ? "pod_uid" : "container";
	return *membership->pod ? membership->pod : membership->container;
}

/**
 * membership_identity() - the unit, pod or container that a process stands for
 * @membership: of the process; may be NULL
 *
 * Only a name given by the system, and only for a process that runs inside: podman's
 * monitor is in its container's unit, but in the host's network.
 *
 * Return: a string in @membership; "" where there is none.
 */
const char *membership_identity(const struct membership *membership)
{
	const char *what;

	if (!membership || membership->supervises || *membership->user)
		return "";
	return membership_lasting(membership, false, &what);
}

/* Whether that is @name; of a container's id, 12 digits are enough. */
bool membership_named(const struct membership *membership, const char *name)
{
	const char *is = membership_identity(membership);
	size_t length = strlen(name);

	if (!*is)
		return false;
	if (!strcmp(is, name))
		return true;
	/* A container in a pod is found by its own id, too. */
	return is != membership->unit && length >= SHORT_ID &&
	       !strncmp(membership->container, name, length);
}
