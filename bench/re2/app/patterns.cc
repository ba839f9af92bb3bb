// Finds NAME:YEAR pairs in a text: whole matches, captures, a set of patterns, a replacement, and
// the same answer for a text made of random padding.

#include <iostream>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/random/bit_gen_ref.h"
#include "absl/random/random.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/civil_time.h"
#include "re2/re2.h"
#include "re2/set.h"

ABSL_FLAG(std::string, text, "", "where to look");

namespace {

absl::StatusOr<absl::CivilYear> YearOf(const std::string& pair) {
  std::string name;
  int year = 0;
  if (!RE2::FullMatch(pair, "(\\w+):(\\d{4})", &name, &year)) {
    return absl::InvalidArgumentError(absl::StrCat(pair, " is no NAME:YEAR"));
  }
  return absl::CivilYear(year);
}

std::string SetOf(const std::string& word) {
  RE2::Set set(RE2::DefaultOptions, RE2::UNANCHORED);
  set.Add("^a", nullptr);
  set.Add("19\\d\\d$", nullptr);
  set.Add("z", nullptr);
  if (!set.Compile()) return "none";
  std::vector<int> found;
  set.Match(word, &found);
  return absl::StrJoin(found, "+");
}

std::string Padding(absl::BitGenRef dice) {
  std::string padding;
  while (absl::Bernoulli(dice, 0.99)) padding += ".,;-"[absl::Uniform(dice, 0, 4)];
  return padding;
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const std::string text = absl::GetFlag(FLAGS_text);
  absl::flat_hash_map<std::string, int64_t> years;
  for (const std::string& pair : std::vector<std::string>(absl::StrSplit(text, ' '))) {
    const absl::StatusOr<absl::CivilYear> year = YearOf(pair);
    if (!year.ok()) {
      std::cerr << year.status().message() << "\n";
      return 1;
    }
    years[pair] = year->year();
    std::cout << pair << " " << year->year() << " set " << SetOf(pair) << "\n";
  }
  absl::BitGen dice;
  absl::Cord padded(absl::StrCat(Padding(dice), text));
  padded.Append(Padding(dice));
  std::string words(padded);
  const int count = RE2::GlobalReplace(&words, "[^a-z]+", " ");
  std::cout << years.size() << " years, " << (count > 0 ? "words" : "nothing") << ":" << words
            << "\n";
  return 0;
}
