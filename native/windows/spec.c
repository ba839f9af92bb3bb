// The specification: `key=value` entries in UTF-8, each ended by NUL, the list by an empty one.

#include "job.h"

#include <stdlib.h>
#include <string.h>

// Bound: as sandbox-protocol.ts writes at most.
#define SPEC_BYTES_MAX (8u << 20)

static wchar_t *widen(const char *text) {
  int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
  wchar_t *wide = length > 0 ? malloc((size_t)length * sizeof *wide) : NULL;
  if (wide != NULL) MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, length);
  return wide;
}

static bool is_whole(const char *bytes, size_t length, size_t *end) {
  for (size_t at = 0; at < length;) {
    const char *nul = memchr(bytes + at, 0, length - at);
    if (nul == NULL) return false;
    size_t next = (size_t)(nul - bytes) + 1;
    if (next == at + 1) {
      *end = next;
      return true;
    }
    at = next;
  }
  return false;
}

static void set_text(struct spec *spec, const char *key, const wchar_t *value) {
  if (strcmp(key, "scratch") == 0) spec->scratch = value;
  if (strcmp(key, "execRoot") == 0) spec->exec_root = value;
  if (strcmp(key, "workingDirectory") == 0) spec->working_directory = value;
  if (strcmp(key, "stdoutPath") == 0) spec->stdout_path = value;
  if (strcmp(key, "stderrPath") == 0) spec->stderr_path = value;
}

static void set_number(struct spec *spec, const char *key, uint64_t value) {
  if (strcmp(key, "wallMs") == 0) spec->wall_ms = value;
  if (strcmp(key, "memoryBytes") == 0) spec->memory_bytes = value;
  if (strcmp(key, "cpuMillis") == 0) spec->cpu_millis = value;
  if (strcmp(key, "pids") == 0) spec->pids = value;
  if (strcmp(key, "fileBytes") == 0) spec->file_bytes = value;
  if (strcmp(key, "logBytes") == 0) spec->log_bytes = value;
  if (strcmp(key, "treeBytes") == 0) spec->tree_bytes = value;
  if (strcmp(key, "treeFiles") == 0) spec->tree_files = value;
}

static bool parse(struct spec *spec, char *bytes, size_t length) {
  size_t entries = 1;
  for (size_t i = 0; i < length; i++) entries += bytes[i] == 0;
  spec->args = calloc(entries, sizeof *spec->args);
  spec->environment = calloc(length + 2, sizeof *spec->environment);
  if (spec->args == NULL || spec->environment == NULL) return false;
  size_t words = 0, environment = 0;
  for (char *key = bytes, *next = bytes; *key != 0; key = next) {
    char *equals = strchr(key, '=');
    if (equals == NULL) return false;
    char *rest = equals + 1;
    next = rest + strlen(rest) + 1;
    *equals = 0;
    wchar_t *value = widen(rest);
    if (value == NULL) return false;
    set_text(spec, key, value);
    set_number(spec, key, strtoull(rest, NULL, 10));
    if (strcmp(key, "arg") == 0) spec->args[words++] = value;
    if (strcmp(key, "env") == 0) {
      wcscpy(spec->environment + environment, value);
      environment += wcslen(value) + 1;
    }
  }
  return words > 0 && spec->exec_root && spec->working_directory && spec->stdout_path &&
         spec->stderr_path && spec->scratch;
}

bool read_spec(HANDLE from, struct spec *spec) {
  char *bytes = malloc(SPEC_BYTES_MAX);
  size_t length = 0, end = 0;
  if (bytes == NULL) return false;
  while (!is_whole(bytes, length, &end)) {
    DWORD got = 0;
    if (length == SPEC_BYTES_MAX) return false;
    DWORD room = (DWORD)(SPEC_BYTES_MAX - length);
    if (!ReadFile(from, bytes + length, room, &got, NULL) || got == 0) return false;
    length += got;
  }
  spec->cancelled = length > end && bytes[end] == 'c';
  return parse(spec, bytes, end);
}

// The rules by which C programs take a command line apart (Microsoft, "Parsing C command-line
// arguments"): backslashes count only before a quote.
static wchar_t *append_word(wchar_t *to, const wchar_t *word) {
  bool is_plain = *word != 0 && wcspbrk(word, L" \t\n\v\"") == NULL;
  if (!is_plain) *to++ = L'"';
  for (const wchar_t *at = word;; at++) {
    size_t slashes = 0;
    for (; *at == L'\\'; at++) slashes++;
    bool before_quote = *at == L'"' || (*at == 0 && !is_plain);
    for (size_t i = 0; i < (before_quote ? 2 * slashes : slashes); i++) *to++ = L'\\';
    if (*at == 0) break;
    if (*at == L'"') *to++ = L'\\';
    *to++ = *at;
  }
  if (!is_plain) *to++ = L'"';
  return to;
}

wchar_t *join_words(const wchar_t **args) {
  size_t length = 1;
  for (size_t i = 0; args[i] != NULL; i++) length += 2 * wcslen(args[i]) + 3;
  wchar_t *line = malloc(length * sizeof *line);
  wchar_t *to = line;
  if (line == NULL) return NULL;
  for (size_t i = 0; args[i] != NULL; i++) {
    if (i > 0) *to++ = L' ';
    to = append_word(to, args[i]);
  }
  *to = 0;
  return line;
}

const wchar_t *variable(const struct spec *spec, const wchar_t *name) {
  size_t length = wcslen(name);
  for (const wchar_t *at = spec->environment; *at != 0; at += wcslen(at) + 1) {
    if (_wcsnicmp(at, name, length) == 0 && at[length] == L'=') return at + length + 1;
  }
  return NULL;
}
