/* The four workloads on the machine itself. Compiled and started by pipeline/bench/machine.py.
 *
 *   real w1 FORKS PAGES WRITES             fork; the child writes random pages and exits
 *   real w2 FORKS PAGES PROGRAM            fork; the child execs PROGRAM
 *   real w3 DEPTH FAN_OUT WRITES LIBRARY PRIVATE FILE    a process tree; every second child execs
 *   real w4 FORKS WRITES                   fork; the child writes, execs, touches 200 pages and exits
 *
 * Children exec this program again as "real shell" (w4) or, with the arguments of w3, as "real branch". Prints
 * "NANOSECONDS FAULTS": how long the phase took that the simulator is timed on too (set-up is left out), and the
 * minor faults of all children.
 */
#include "bare.h"

enum { PAGE = 4096, SHELL_PAGES = 100 };

/* What exec maps for the shell of w4, a file's pages and anonymous ones, so that it needs no mmap of its own. */
static const char shell_text[SHELL_PAGES * PAGE] __attribute__((aligned(PAGE))) = {1};
static char shell_data[SHELL_PAGES * PAGE] __attribute__((aligned(PAGE)));

static char **arguments;

static void say(int fd, const char *text) {
    long length = 0;
    while (text[length]) length++;
    call(SYS_write, fd, (long)text, length, 0, 0, 0);
}

/* Write a number into the end of a buffer of 24 characters; return where it starts. */
static char *decimal(long value, char *buffer) {
    char *at = buffer + 23;
    *at = 0;
    do *--at = '0' + value % 10;
    while (value /= 10);
    return at;
}

/* Do a system call that must succeed; "name: errno" is all that the caller needs to tell why it did not. */
static long must(const char *name, long result) {
    char buffer[24];
    if (result >= 0) return result;
    say(2, name);
    say(2, ": errno ");
    say(2, decimal(-result, buffer));
    leave(1);
}

static long number(int index) {
    long value = 0;
    for (const char *digit = arguments[index]; *digit; digit++) value = value * 10 + *digit - '0';
    return value;
}

static int64_t now(void) {
    struct timespec time;
    must("clock_gettime", call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&time, 0, 0, 0, 0));
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* The pages that pipeline/bench/traces.py draws: splitmix64 of the number of the draw. */
static long random_page(uint64_t draw, long pages) {
    uint64_t bits = (draw + 1) * UINT64_C(0x9e3779b97f4a7c15);
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (long)((bits ^ (bits >> 31)) % (uint64_t)pages);
}

static volatile char *map(long pages, int protection, int fd) {
    int flags = MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0);
    long memory = must("mmap", call(SYS_mmap, 0, pages * PAGE, protection, flags, fd, 0));
    /* A kernel built without huge pages refuses the advice, which is as good as taking it. */
    call(SYS_madvise, memory, pages * PAGE, MADV_NOHUGEPAGE, 0, 0, 0);
    return (volatile char *)memory;
}

static void write_pages(volatile char *memory, long pages) {
    for (long page = 0; page < pages; page++) memory[page * PAGE] = 1;
}

static void read_pages(const volatile char *memory, long pages) {
    for (long page = 0; page < pages; page++) (void)memory[page * PAGE];
}

/* Return 0 in the child. */
static long fork_one(void) { return must("fork", call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0)); }

static void wait_for(long child) {
    int status = 0;
    must("wait4", call(SYS_wait4, child, (long)&status, 0, 0, 0, 0));
    if (status) leave(1); /* it said why */
}

static void exec(const char *name, char **given) {
    must("execve", call(SYS_execve, (long)name, (long)given, 0, 0, 0, 0));
}

/* w1 and w2: the children of a process with much memory. */
static int64_t snapshot(int execs) {
    long forks = number(2), pages = number(3), writes = execs ? 0 : number(4);
    volatile char *memory = map(pages, PROT_READ | PROT_WRITE, -1);
    write_pages(memory, pages);
    int64_t begun = now();
    for (long each = 0; each < forks; each++) {
        long child = fork_one();
        if (child == 0) {
            char *given[] = {arguments[4], 0};
            if (execs) exec(arguments[4], given);
            for (long draw = each * writes; draw < (each + 1) * writes; draw++)
                memory[random_page(draw, pages) * PAGE] = 2;
            leave(0);
        }
        wait_for(child);
    }
    return now() - begun;
}

/* w3: what the first process, and each that execs, maps and touches before it forks. */
static volatile char *branch(void) {
    long fd = must(arguments[7], call(SYS_openat, AT_FDCWD, (long)arguments[7], O_RDONLY, 0, 0, 0));
    read_pages(map(number(5), PROT_READ, fd), number(5));
    call(SYS_close, fd, 0, 0, 0, 0, 0);
    volatile char *memory = map(number(6), PROT_READ | PROT_WRITE, -1);
    write_pages(memory, number(6));
    return memory;
}

/* w3: fork the children one after another, each with its whole subtree, so that the order is the simulator's. */
static void grow(volatile char *memory, long depth) {
    for (long index = 0; depth > 0 && index < number(3); index++) {
        long child = fork_one();
        if (child == 0) {
            write_pages(memory + index * number(4) % number(6) * PAGE, number(4));
            if (index % 2) {
                char left[24];
                arguments[1] = "branch";
                arguments[2] = decimal(depth - 1, left);
                exec("/proc/self/exe", arguments);
            }
            grow(memory, depth - 1);
            leave(0);
        }
        wait_for(child);
    }
}

static int64_t tree(void) {
    volatile char *memory = branch();
    int64_t begun = now();
    grow(memory, number(2));
    return now() - begun;
}

/* w4: what a shell touches, the one that forks and those that were forked and have exec'ed. */
static void touch_shell(void) {
    read_pages(shell_text, SHELL_PAGES);
    write_pages(shell_data, SHELL_PAGES);
}

static int64_t shell(void) {
    char *given[] = {"real", "shell", 0};
    touch_shell();
    int64_t begun = now();
    for (long each = 0; each < number(2); each++) {
        long child = fork_one();
        if (child == 0) {
            write_pages(shell_data, number(3));
            exec("/proc/self/exe", given);
        }
        wait_for(child);
    }
    return now() - begun;
}

/* Stay on the processor where we are, without huge pages; both are inherited through fork and exec. */
static void prepare(void) {
    unsigned processor = 0;
    unsigned long mask[16] = {0};
    must("getcpu", call(SYS_getcpu, (long)&processor, 0, 0, 0, 0, 0));
    mask[processor / 64 % 16] = 1UL << processor % 64;
    must("sched_setaffinity", call(SYS_sched_setaffinity, 0, sizeof mask, (long)mask, 0, 0, 0));
    must("prctl", call(SYS_prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0, 0));
}

static int64_t timed(char workload) {
    switch (workload) {
    case '1': return snapshot(0);
    case '2': return snapshot(1);
    case '3': return tree();
    default: return shell();
    }
}

static int program(int count, char **given) {
    arguments = given;
    if (count == 2) {
        touch_shell();
        return 0;
    }
    if (count < 4) return 2;
    if (given[1][0] == 'b') {
        grow(branch(), number(2));
        return 0;
    }
    prepare();
    char time[24], faults[24];
    char *nanoseconds = decimal(timed(given[1][1]), time);
    struct rusage children;
    must("getrusage", call(SYS_getrusage, RUSAGE_CHILDREN, (long)&children, 0, 0, 0, 0));
    say(1, nanoseconds);
    say(1, " ");
    say(1, decimal(children.ru_minflt, faults));
    say(1, "\n");
    return 0;
}
