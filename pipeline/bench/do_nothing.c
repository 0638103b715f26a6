/* What the children of w2 exec: the smallest address space that a program can have. */
#include "bare.h"

static int program(int count, char **given) { return count < 1 || !given; }
