// Reading and writing the memory of a stopped process, and symlinks.

#include "audit.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u

bool read_memory(pid_t id, uint64_t address, void *to, size_t size) {
  struct iovec here = {to, size}, there = {(void *)(uintptr_t)address, size};
  return process_vm_readv(id, &here, 1, &there, 1, 0) == (ssize_t)size;
}

bool write_memory(pid_t id, uint64_t address, const void *from, size_t size) {
  struct iovec here = {(void *)from, size}, there = {(void *)(uintptr_t)address, size};
  return process_vm_writev(id, &here, 1, &there, 1, 0) == (ssize_t)size;
}

// Page by page: what follows the text may not be mapped.
bool read_path(pid_t id, uint64_t address, char path[PATH_MAX]) {
  size_t length = 0;
  if (address == 0) return false;
  while (length < PATH_MAX) {
    size_t left = PAGE - (size_t)((address + length) % PAGE);
    size_t chunk = length == 0 && left > 256 ? 256 : left;
    if (chunk > PATH_MAX - length) chunk = PATH_MAX - length;
    if (!read_memory(id, address + length, path + length, chunk)) return false;
    if (memchr(path + length, '\0', chunk) != NULL) return path[0] != '\0';
    length += chunk;
  }
  return false;
}

bool read_link(const char *path, char text[PATH_MAX]) {
  ssize_t length = readlink(path, text, PATH_MAX - 1);
  if (length <= 0) return false;
  text[length] = '\0';
  return true;
}
