#include "series.h"

namespace emerald {

constexpr auto lengths = collatz_lengths<200>();

// The longest of the first 200 Collatz sequences, and how often each word of a text occurs.
unsigned long long longest() { return *std::max_element(lengths.begin(), lengths.end()); }

std::map<std::string, int> words(const std::string& text) {
  std::map<std::string, int> counts;
  std::istringstream stream(text);
  for (std::istream_iterator<std::string> at(stream), end; at != end; ++at) ++counts[*at];
  return counts;
}

}  // namespace emerald
