// The header in C++: it compiles, and the library links.
#include "payonce.h"

int main() { return payonce_result_status(nullptr) == PAYONCE_UNAVAILABLE ? 0 : 1; }
