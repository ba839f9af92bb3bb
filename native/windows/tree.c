// Walks over the folders of one action. None follows a link: an action may have planted one.

#include "job.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

// Called for each entry, for a folder's before it; false ends the walk.
typedef bool visit(const wchar_t *path, const WIN32_FIND_DATAW *found, void *data);

static bool is_folder(const WIN32_FIND_DATAW *found) {
  return (found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0 &&
         (found->dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) == 0;
}

static wchar_t *joined(const wchar_t *folder, const wchar_t *name) {
  size_t length = wcslen(folder) + wcslen(name) + 2;
  wchar_t *path = malloc(length * sizeof *path);
  if (path != NULL) _snwprintf(path, length, L"%ls\\%ls", folder, name);
  return path;
}

static bool walk(const wchar_t *folder, visit *before, visit *after, void *data) {
  WIN32_FIND_DATAW found;
  wchar_t *pattern = joined(folder, L"*");
  HANDLE search = pattern ? FindFirstFileW(pattern, &found) : INVALID_HANDLE_VALUE;
  free(pattern);
  if (search == INVALID_HANDLE_VALUE) return false;
  bool ok = true;
  do {
    if (wcscmp(found.cFileName, L".") == 0 || wcscmp(found.cFileName, L"..") == 0) continue;
    wchar_t *path = joined(folder, found.cFileName);
    ok = path != NULL && (before == NULL || before(path, &found, data));
    // A folder that vanishes while an action runs, or that it locked, is not the walk's end.
    if (ok && is_folder(&found)) walk(path, before, after, data);
    ok = ok && (after == NULL || after(path, &found, data));
    free(path);
  } while (ok && FindNextFileW(search, &found));
  FindClose(search);
  return ok;
}

static bool label_one(const wchar_t *path, const WIN32_FIND_DATAW *found, void *data) {
  (void)data;
  return !is_folder(found) || open_to_low(path);
}

bool label_folders(const wchar_t *path) {
  return open_to_low(path) && walk(path, label_one, NULL, NULL);
}

bool make_temporary(const wchar_t *scratch) {
  wchar_t *path = joined(scratch, L"tmp");
  bool ok = path != NULL && (CreateDirectoryW(path, NULL) || GetLastError() == ERROR_ALREADY_EXISTS) &&
            open_to_low(path);
  free(path);
  return ok;
}

static bool measure_one(const wchar_t *path, const WIN32_FIND_DATAW *found, void *data) {
  (void)path;
  struct measure *sum = data;
  uint64_t bytes = (uint64_t)found->nFileSizeHigh << 32 | found->nFileSizeLow;
  sum->files++;
  sum->bytes += bytes;
  if (bytes > sum->largest) sum->largest = bytes;
  return true;
}

bool measure_tree(const wchar_t *path, struct measure *sum) {
  memset(sum, 0, sizeof *sum);
  return walk(path, measure_one, NULL, sum);
}

static bool remove_one(const wchar_t *path, const WIN32_FIND_DATAW *found, void *data) {
  (void)data;
  SetFileAttributesW(path, FILE_ATTRIBUTE_NORMAL);
  if (found->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) RemoveDirectoryW(path);
  else DeleteFileW(path);
  return true;
}

void remove_tree(const wchar_t *path) {
  walk(path, NULL, remove_one, NULL);
  RemoveDirectoryW(path);
}
