// A table of sums, worked out by the compiler: enough work to see files compile side by side.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

template <std::size_t Size>
constexpr std::array<unsigned long long, Size> collatz_lengths() {
  std::array<unsigned long long, Size> lengths{};
  for (std::size_t start = 1; start < Size; ++start) {
    unsigned long long value = start;
    while (value != 1) {
      value = value % 2 == 0 ? value / 2 : 3 * value + 1;
      ++lengths[start];
    }
  }
  return lengths;
}
