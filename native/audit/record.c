// What was seen, each thing once with how often: files, addresses, and the programs that asked.

#include "audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 262144
#define SLOTS (ENTRIES_MAX * 2)
#define PROGRAMS_MAX 16384
#define COMMAND_MAX 512

struct entry {
  char *text;
  uint32_t program, ops, count;
  char kind;
};

struct program {
  char *executable;
  char *command; // words ended by NUL
  size_t command_size;
};

// Names that were asked for before, with the entry that they led to; 0 stands for none.
struct name {
  char *text;
  uint32_t program, ops, entry;
};

static struct entry entries[ENTRIES_MAX];
static uint32_t entry_count;
static uint32_t slots[SLOTS];
static struct name names[ENTRIES_MAX];
static uint32_t name_count;
static uint32_t name_slots[SLOTS];
static struct program programs[PROGRAMS_MAX];
static uint32_t program_count;
static bool overflowed;

static char *copy(const char *text) {
  char *own = strdup(text);
  if (own == NULL) abort();
  return own;
}

static uint32_t hash(uint32_t seed, const char *text) {
  uint32_t value = 2166136261u ^ seed * 2654435761u;
  for (; *text != '\0'; text++) value = (value ^ (unsigned char)*text) * 16777619u;
  return value;
}

static struct entry *find_entry(char kind, uint32_t program, const char *text) {
  uint32_t at = hash(program, text) % SLOTS;
  for (; slots[at] != 0; at = (at + 1) % SLOTS) {
    struct entry *entry = &entries[slots[at] - 1];
    if (entry->kind == kind && entry->program == program && strcmp(entry->text, text) == 0) {
      return entry;
    }
  }
  if (entry_count == ENTRIES_MAX) {
    overflowed = true;
    return NULL;
  }
  struct entry *entry = &entries[entry_count++];
  *entry = (struct entry){.text = copy(text), .program = program, .kind = kind};
  slots[at] = entry_count;
  return entry;
}

void record(char kind, uint32_t program, uint32_t ops, const char *text) {
  struct entry *entry = find_entry(kind, program, text);
  if (entry == NULL) return;
  entry->ops |= ops;
  if (entry->count < UINT32_MAX) entry->count++;
}

static uint32_t *find_name(uint32_t program, uint32_t ops, const char *text) {
  uint32_t at = hash(program ^ ops << 16, text) % SLOTS;
  for (; name_slots[at] != 0; at = (at + 1) % SLOTS) {
    const struct name *name = &names[name_slots[at] - 1];
    if (name->program == program && name->ops == ops && strcmp(name->text, text) == 0) break;
  }
  return &name_slots[at];
}

bool record_again(uint32_t program, uint32_t ops, const char *text) {
  uint32_t found = *find_name(program, ops, text);
  if (found == 0) return false;
  uint32_t entry = names[found - 1].entry;
  if (entry != 0 && entries[entry - 1].count < UINT32_MAX) entries[entry - 1].count++;
  return true;
}

void remember_name(uint32_t program, uint32_t ops, const char *text, const char *path) {
  if (name_count == ENTRIES_MAX) return;
  uint32_t *slot = find_name(program, ops, text);
  if (*slot != 0) return;
  uint32_t entry = 0;
  if (path != NULL) {
    const struct entry *found = find_entry(FILE_ENTRY, program, path);
    if (found == NULL) return;
    entry = (uint32_t)(found - entries) + 1;
  }
  names[name_count++] = (struct name){copy(text), program, ops, entry};
  *slot = name_count;
}

uint32_t add_program(pid_t id) {
  char path[64], executable[PATH_MAX], command[COMMAND_MAX];
  snprintf(path, sizeof path, "/proc/%d/exe", id);
  if (!read_link(path, executable)) strcpy(executable, "?");
  snprintf(path, sizeof path, "/proc/%d/cmdline", id);
  FILE *file = fopen(path, "re");
  size_t size = file == NULL ? 0 : fread(command, 1, sizeof command - 1, file);
  if (file != NULL) fclose(file);
  command[size] = '\0';
  if (size > 0 && command[size - 1] == '\0') size--;
  for (uint32_t i = 0; i < program_count; i++) {
    const struct program *known = &programs[i];
    if (known->command_size == size && memcmp(known->command, command, size) == 0 &&
        strcmp(known->executable, executable) == 0) {
      return i;
    }
  }
  if (program_count == PROGRAMS_MAX) return PROGRAMS_MAX - 1;
  char *words = malloc(size + 1);
  if (words == NULL) abort();
  memcpy(words, command, size + 1);
  programs[program_count] = (struct program){copy(executable), words, size};
  return program_count++;
}

// Entries end with NUL; the words of a command line are parted by 0x1f, which none of them needs.
bool write_trace(const char *path) {
  FILE *file = fopen(path, "we");
  if (file == NULL) return false;
  for (uint32_t i = 0; i < program_count; i++) {
    for (size_t at = 0; at < programs[i].command_size; at++) {
      if (programs[i].command[at] == '\0') programs[i].command[at] = '\x1f';
    }
    fprintf(file, "p %u %s", i, programs[i].executable);
    fputc('\0', file);
    fwrite(programs[i].command, 1, programs[i].command_size, file);
    fputc('\0', file);
  }
  for (uint32_t i = 0; i < entry_count; i++) {
    const struct entry *entry = &entries[i];
    if (entry->count == 0) continue;
    fprintf(file, "%c %x %u %u %s", entry->kind, entry->ops, entry->count, entry->program,
            entry->text);
    fputc('\0', file);
  }
  if (overflowed) {
    fprintf(file, "%c 0 1 0 more than %d files", OVERFLOW_ENTRY, ENTRIES_MAX);
    fputc('\0', file);
  }
  // What ends otherwise was cut off.
  fputs("end", file);
  fputc('\0', file);
  return fclose(file) == 0;
}
