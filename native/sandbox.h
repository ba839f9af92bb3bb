// What the files of the sandbox program share. One run of the program is one action: it reads a
// specification, runs one command in namespaces of its own, and answers with one line of JSON.
#ifndef BUILDER_SANDBOX_H
#define BUILDER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The descriptor on which the caller speaks to us and hears from us (a socket pair).
#define CONTROL_FD 3
// Every action runs as this user and group, as seen from inside.
#define INNER_ID 1000
#define CGROUPS_MAX 3

// What to run. All strings point into the buffer that was read.
struct spec {
  const char *scratch;
  const char *exec_root;
  const char *working_directory;
  const char *stdout_path;
  const char *stderr_path;
  char **argv;
  char **env;
  bool network;
  // The command has the descriptors 0, 1 and 2 of this program; a terminal among them is its own.
  bool interactive;
  // The caller has cancelled before the specification was read.
  bool cancelled;
  // Host user and group of the action; 0 stands for the caller's own.
  unsigned host_id;
  uint64_t wall_ms;
  uint64_t memory_bytes;
  uint64_t cpu_millis;
  uint64_t pids;
  uint64_t open_files;
  // Of one file.
  uint64_t file_bytes;
  // Of stdout and stderr each.
  uint64_t log_bytes;
  // What the exec root may hold, and what of it was there before the command.
  uint64_t tree_bytes, input_bytes;
  uint64_t tree_files, input_files;
  // What /tmp, /var/tmp and /dev/shm may hold together.
  uint64_t tmp_bytes, tmp_files;
  // Folders in which to make the action's cgroup, each with the hierarchy it belongs to.
  struct {
    char hierarchy; // '2' for version 2, else 'm'emory, 'c'pu or 'p'ids of version 1
    const char *parent;
  } cgroups[CGROUPS_MAX];
  size_t cgroup_count;
};

// The cgroups of one action. Descriptors are -1 where a thing does not exist.
struct cgroups {
  struct {
    char path[512];
    char hierarchy;
    int folder;
  } groups[CGROUPS_MAX];
  size_t count;
  int clone_into; // version 2: the child is born in it
  int oom;        // readable or POLLPRI once memory ran out
  int pids;       // POLLPRI once a fork was refused, except in version 1
  bool pids_is_silent;
  bool oom_is_counter;
  bool limits_cpu;
  int peak;  // file with the highest memory use
  int times; // file with the processor time of all that were ever in it
};

// What can have come of a run, by the first process inside.
enum ending {
  SETUP_FAILED = 'e',
  ENDED = 'x',
  ASKED_TO_END = 'k',
  OVER_MEMORY = 'm',
  OVER_PIDS = 'p',
  OVER_LOG = 'l',
  OVER_OUTPUT = 'o',
  OVER_OUTPUT_FILES = 'f',
  OVER_TMP = 't',
  OVER_TMP_FILES = 'i',
};

// What the first process inside tells the supervisor; a packet each.
struct report {
  char kind; // an ending
  int value; // errno, or the command's wait status
  uint64_t peak_bytes; // sampled; 0 where a cgroup knows better
  // Through read and write calls, by proc(5); 0 where the kernel does not count.
  uint64_t read_bytes, written_bytes;
  char step[48];
};

// What is remembered between two looks at the exec root.
struct measure {
  uint64_t free_bytes, free_files; // of the disk, at the last look
  uint64_t left_bytes, left_files; // until a limit, at the last look
  int64_t next_ms, soon_ms;
};

// nursery.c
// Forks runs until the caller dies. True in each run's own process; false when all is over.
bool keep_nursery(const char *path);

// terminal.c
// Where we are at a terminal, makes 0, 1 and 2 a new one in between. False where that cannot be
// had. Returns in another process than it was called in; that one ends when the new terminal does.
bool open_terminal(void);

// spec.c
// Reads the specification from the control socket. False if the caller died half-way.
bool read_spec(struct spec *spec);

// cgroup.c
// Makes the cgroups and writes the limits; on failure errno is set and false returned.
bool open_cgroups(struct cgroups *groups, const struct spec *spec);
// Moves the calling (single-threaded) process into the version 1 groups.
bool enter_cgroups(const struct cgroups *groups);
bool cgroup_has_memory(const struct spec *spec);
bool cgroup_has_pids(const struct spec *spec);
// True once the kernel has killed for memory, or refused a fork. Call after the descriptor woke.
bool cgroup_ran_out_of_memory(const struct cgroups *groups);
bool cgroup_refused_fork(const struct cgroups *groups);
uint64_t cgroup_peak_bytes(const struct cgroups *groups);
// Of version 2; else 0.
uint64_t cgroup_user_us(const struct cgroups *groups);
uint64_t cgroup_system_us(const struct cgroups *groups);
void remove_cgroups(struct cgroups *groups);

// inside.c
// The life of the first process inside the namespaces. Never returns.
_Noreturn void run_inside(const struct spec *spec, const struct cgroups *groups, int reports);
_Noreturn void report_failure(int reports, const char *step);
// The kernel's limits, in the process that becomes the command: who measures it keeps its own.
void lower_limits(const struct spec *spec);

// filter.c
// Refuses, from now on and for all descendants, the system calls that no action needs. Wants
// no_new_privs.
bool filter_calls(void);
// Refuses connections to abstract Unix sockets of others. False where the kernel cannot.
bool leave_abstract_sockets(void);

// command.c
// Starts the command and reaps until it ends. Never returns.
// `io` is /proc/self/io or -1.
_Noreturn void run_command(const struct spec *spec, const struct cgroups *groups, int reports,
                           int io);

// measure.c
// These tell the limit that is passed, or 0. The tree is looked at where it pays; at the end only
// where the disk says that it is too large.
void begin_measure(struct measure *measure, const struct spec *spec);
char measure_tree(struct measure *measure, const struct spec *spec, bool at_end);
char measure_tmp(void);
// What /tmp, /var/tmp and /dev/shm hold.
uint64_t tmp_bytes(void);
char measure_log(const struct spec *spec);

// tree.c
// Gives all folders below `path` (itself included) to `id`. Symlinks are not followed. Where `path`
// is that user's already, so are the others: whoever gave it away did so last.
bool chown_folders(const char *path, unsigned id);
void remove_tree(const char *path);

#endif
