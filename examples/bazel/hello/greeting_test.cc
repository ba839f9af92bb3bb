#include "hello/greeting.h"

int main() { return greeting("you") == "Hello, you!" ? 0 : 1; }
