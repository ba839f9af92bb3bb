#pragma once

#include <string>

// "Hello, NAME!"
std::string greeting(const std::string& name);
