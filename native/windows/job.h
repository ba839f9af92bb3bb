// What the files of the Windows helper share. One run of it is one action: it reads a specification
// from standard input, runs one command in a job object, and answers with one line of JSON.
#ifndef BUILDER_JOB_H
#define BUILDER_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <windows.h>

// What to run. All strings point into one buffer that lives as long as the program.
struct spec {
  const wchar_t *scratch;
  const wchar_t *exec_root;
  const wchar_t *working_directory;
  const wchar_t *stdout_path;
  const wchar_t *stderr_path;
  const wchar_t **args; // ended by NULL
  wchar_t *environment; // NAME=VALUE, each ended by NUL, all by another
  bool cancelled;       // the caller has cancelled before the specification was read
  uint64_t wall_ms;
  uint64_t memory_bytes;
  uint64_t cpu_millis;
  uint64_t pids;
  uint64_t file_bytes;
  uint64_t log_bytes;
  uint64_t tree_bytes;
  uint64_t tree_files;
};

// What lies below a folder.
struct measure {
  uint64_t bytes;
  uint64_t files;
  uint64_t largest;
};

// spec.c
// Reads the specification. False if the caller died half-way or said too much.
bool read_spec(HANDLE from, struct spec *spec);
// One command line from which programs get back these very words. Freed by the caller.
wchar_t *join_words(const wchar_t **args);
// The value of a variable of the environment; NULL where it has none.
const wchar_t *variable(const struct spec *spec, const wchar_t *name);

// limits.c
void fill_limits(const struct spec *spec, JOBOBJECT_EXTENDED_LIMIT_INFORMATION *limits);
// False where the action may use all processors.
bool fill_rate(const struct spec *spec, unsigned processors, JOBOBJECT_CPU_RATE_CONTROL_INFORMATION *);
void fill_ui(JOBOBJECT_BASIC_UI_RESTRICTIONS *ui);
// A copy of this process's token without privileges, with administrators only to deny, and of low
// integrity: it writes to nothing that is not labelled for it. NULL on failure.
HANDLE make_token(void);
// Labels a folder, and what will be made in it, as writable for processes of low integrity.
bool open_to_low(const wchar_t *folder);

// tree.c: walks that follow no link, junction or mount point.
bool label_folders(const wchar_t *path);
// Makes the folder `tmp` beside the exec root, for what TEMP names.
bool make_temporary(const wchar_t *scratch);
bool measure_tree(const wchar_t *path, struct measure *sum);
void remove_tree(const wchar_t *path);

#endif
