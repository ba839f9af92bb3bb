#include "series.h"

namespace hematite {

constexpr auto lengths = collatz_lengths<224>();

// The longest of the first 224 Collatz sequences, and how often each word of a text occurs.
unsigned long long longest() { return *std::max_element(lengths.begin(), lengths.end()); }

std::map<std::string, int> words(const std::string& text) {
  static const std::regex word("[A-Za-z]+");
  std::map<std::string, int> counts;
  for (std::sregex_iterator at(text.begin(), text.end(), word), end; at != end; ++at) {
    ++counts[at->str()];
  }
  return counts;
}

}  // namespace hematite
