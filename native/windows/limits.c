// What a job and its processes may do, as the structures that the system calls take.

#include "job.h"

#include <sddl.h>
#include <string.h>

void fill_limits(const struct spec *spec, JOBOBJECT_EXTENDED_LIMIT_INFORMATION *limits) {
  memset(limits, 0, sizeof *limits);
  // Nothing may break away, for neither flag that allows it is set.
  limits->BasicLimitInformation.LimitFlags =
      JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_JOB_MEMORY |
      JOB_OBJECT_LIMIT_ACTIVE_PROCESS | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
  limits->BasicLimitInformation.ActiveProcessLimit = (DWORD)min(spec->pids, MAXDWORD);
  limits->JobMemoryLimit = (SIZE_T)spec->memory_bytes;
}

bool fill_rate(const struct spec *spec, unsigned processors,
               JOBOBJECT_CPU_RATE_CONTROL_INFORMATION *rate) {
  memset(rate, 0, sizeof *rate);
  // In parts of 10,000 of all processors together.
  uint64_t share = spec->cpu_millis * 10 / (processors > 0 ? processors : 1);
  if (share >= 10000) return false;
  rate->ControlFlags = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
  rate->CpuRate = (DWORD)max(share, 1);
  return true;
}

void fill_ui(JOBOBJECT_BASIC_UI_RESTRICTIONS *ui) {
  ui->UIRestrictionsClass =
      JOB_OBJECT_UILIMIT_DESKTOP | JOB_OBJECT_UILIMIT_DISPLAYSETTINGS | JOB_OBJECT_UILIMIT_EXITWINDOWS |
      JOB_OBJECT_UILIMIT_GLOBALATOMS | JOB_OBJECT_UILIMIT_HANDLES | JOB_OBJECT_UILIMIT_READCLIPBOARD |
      JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS | JOB_OBJECT_UILIMIT_WRITECLIPBOARD;
}

// The privileges of a token but the one to pass through folders on the way to a file, which all have.
static bool list_privileges(HANDLE token, TOKEN_PRIVILEGES *list, DWORD bytes) {
  LUID pass;
  DWORD size, kept = 0;
  if (!GetTokenInformation(token, TokenPrivileges, list, bytes, &size) ||
      !LookupPrivilegeValueW(NULL, SE_CHANGE_NOTIFY_NAME, &pass)) {
    return false;
  }
  for (DWORD i = 0; i < list->PrivilegeCount; i++) {
    if (memcmp(&list->Privileges[i].Luid, &pass, sizeof pass) == 0) continue;
    list->Privileges[kept++] = list->Privileges[i];
  }
  list->PrivilegeCount = kept;
  return true;
}

HANDLE make_token(void) {
  HANDLE own = NULL, restricted = NULL;
  PSID administrators = NULL, low = NULL;
  SID_IDENTIFIER_AUTHORITY nt = {SECURITY_NT_AUTHORITY};
  const DWORD access = TOKEN_DUPLICATE | TOKEN_ASSIGN_PRIMARY | TOKEN_QUERY | TOKEN_ADJUST_DEFAULT;
  if (!OpenProcessToken(GetCurrentProcess(), access, &own)) return NULL;
  bool ok = AllocateAndInitializeSid(&nt, 2, SECURITY_BUILTIN_DOMAIN_RID, DOMAIN_ALIAS_RID_ADMINS, 0,
                                     0, 0, 0, 0, 0, &administrators);
  SID_AND_ATTRIBUTES denied = {.Sid = administrators};
  // Some forty privileges exist.
  union {
    TOKEN_PRIVILEGES list;
    char bytes[4096];
  } privileges;
  ok = ok && list_privileges(own, &privileges.list, sizeof privileges);
  ok = ok && CreateRestrictedToken(own, 0, 1, &denied, privileges.list.PrivilegeCount, privileges.list.Privileges,
                                   0, NULL, &restricted);
  ok = ok && ConvertStringSidToSidW(L"S-1-16-4096", &low);
  TOKEN_MANDATORY_LABEL label = {.Label = {.Sid = low, .Attributes = SE_GROUP_INTEGRITY}};
  ok = ok && SetTokenInformation(restricted, TokenIntegrityLevel, &label,
                                 sizeof label + GetLengthSid(low));
  DWORD error = GetLastError();
  if (administrators != NULL) FreeSid(administrators);
  LocalFree(low);
  CloseHandle(own);
  if (ok) return restricted;
  if (restricted != NULL) CloseHandle(restricted);
  SetLastError(error);
  return NULL;
}

bool open_to_low(const wchar_t *folder) {
  PSECURITY_DESCRIPTOR label = NULL;
  // Mandatory label, inherited by files and folders, nobody lower may write: low (MS-DTYP 2.4.4.13).
  // Of the folder alone: its files may be links to the store's, which stay out of reach.
  if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(L"S:(ML;OICI;NW;;;LW)", SDDL_REVISION_1,
                                                            &label, NULL)) {
    return false;
  }
  const DWORD how = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
  HANDLE file = CreateFileW(folder, WRITE_OWNER, 7, NULL, OPEN_EXISTING, how, NULL);
  bool ok = file != INVALID_HANDLE_VALUE && SetKernelObjectSecurity(file, LABEL_SECURITY_INFORMATION, label);
  DWORD error = GetLastError();
  if (file != INVALID_HANDLE_VALUE) CloseHandle(file);
  LocalFree(label);
  SetLastError(error);
  return ok;
}
