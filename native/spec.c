// Reading what to run: `key=value` entries, each ended by NUL, the whole ended by an empty entry.

#include "sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Bound: far above the kernel's own limit for arguments and environment (2 MiB).
#define SPEC_BYTES_MAX (8u << 20)
// What the caller says to cancel. Only the end of the specification is an empty entry.
#define CANCEL 'c'

// A caller that cancels at once may have done so in the same breath: its word comes after the end.
static size_t without_cancel(const char *bytes, size_t length) {
  while (length > 0 && bytes[length - 1] == CANCEL) length--;
  return length;
}

static bool is_complete(const char *bytes, size_t with_cancel) {
  size_t length = without_cancel(bytes, with_cancel);
  if (length == 0) return false;
  if (bytes[length - 1] != '\0') return false;
  return length == 1 || bytes[length - 2] == '\0';
}

static uint64_t number(const char *text) { return strtoull(text, NULL, 10); }

static bool take_number(struct spec *spec, const char *key, uint64_t value) {
  const struct {
    const char *key;
    uint64_t *to;
  } numbers[] = {
      {"wallMs", &spec->wall_ms},         {"memoryBytes", &spec->memory_bytes},
      {"cpuMillis", &spec->cpu_millis},   {"pids", &spec->pids},
      {"openFiles", &spec->open_files},   {"fileBytes", &spec->file_bytes},
      {"logBytes", &spec->log_bytes},     {"treeBytes", &spec->tree_bytes},
      {"treeFiles", &spec->tree_files},   {"inputBytes", &spec->input_bytes},
      {"inputFiles", &spec->input_files}, {"tmpBytes", &spec->tmp_bytes},
      {"tmpFiles", &spec->tmp_files},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (strcmp(key, numbers[i].key) != 0) continue;
    *numbers[i].to = value;
    return true;
  }
  return false;
}

static void take_entry(struct spec *spec, char *entry, size_t *argc, size_t *envc) {
  char *value = strchr(entry, '=');
  if (value == NULL) return;
  *value++ = '\0';
  if (strcmp(entry, "arg") == 0) spec->argv[(*argc)++] = value;
  else if (strcmp(entry, "env") == 0) spec->env[(*envc)++] = value;
  else if (strcmp(entry, "scratch") == 0) spec->scratch = value;
  else if (strcmp(entry, "execRoot") == 0) spec->exec_root = value;
  else if (strcmp(entry, "workingDirectory") == 0) spec->working_directory = value;
  else if (strcmp(entry, "stdoutPath") == 0) spec->stdout_path = value;
  else if (strcmp(entry, "stderrPath") == 0) spec->stderr_path = value;
  else if (strcmp(entry, "network") == 0) spec->network = value[0] == '1';
  else if (strcmp(entry, "interactive") == 0) spec->interactive = value[0] == '1';
  else if (strcmp(entry, "hostId") == 0) spec->host_id = (unsigned)number(value);
  else if (take_number(spec, entry, number(value))) return;
  else if (strncmp(entry, "cgroup.", 7) == 0 && spec->cgroup_count < CGROUPS_MAX) {
    spec->cgroups[spec->cgroup_count].hierarchy = entry[7];
    spec->cgroups[spec->cgroup_count++].parent = value;
  }
}

static bool parse(struct spec *spec, char *bytes, size_t length) {
  size_t entries = 0;
  for (size_t i = 0; i < length; i++) entries += bytes[i] == '\0';
  char **words = calloc(entries + 2, sizeof(char *));
  spec->env = calloc(entries + 1, sizeof(char *));
  if (words == NULL || spec->env == NULL) return false;
  spec->argv = words + 1; // with a spare slot in front, for the shell of a bare script
  size_t argc = 0, envc = 0;
  for (char *at = bytes; at < bytes + length;) {
    size_t size = strnlen(at, (size_t)(bytes + length - at));
    if (at + size == bytes + length) break; // cut off by the caller's death
    char *next = at + size + 1;
    take_entry(spec, at, &argc, &envc);
    at = next;
  }
  return true;
}

bool read_spec(struct spec *spec) {
  size_t capacity = 64u << 10, length = 0;
  char *bytes = malloc(capacity);
  while (bytes != NULL && !is_complete(bytes, length)) {
    if (length == capacity) {
      capacity *= 2;
      bytes = capacity > SPEC_BYTES_MAX ? NULL : realloc(bytes, capacity);
      continue;
    }
    ssize_t got = read(CONTROL_FD, bytes + length, capacity - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      parse(spec, bytes, length);
      return false;
    }
    length += (size_t)got;
  }
  if (bytes == NULL) return false;
  size_t length_of_spec = without_cancel(bytes, length);
  spec->cancelled = length_of_spec < length;
  return parse(spec, bytes, length_of_spec) && spec->argv[0] != NULL;
}
