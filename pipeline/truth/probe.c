/* A few processes that do what a script says, one step at a time, and what the kernel shows of each step.
 *
 * Compiled and started by pipeline/truth/probe.py: probe FILES, where FILES is how many files there are to map. Reads
 * lines "PROCESS VERB WORD ..." on standard input, numbers in decimal but page numbers in hexadecimal:
 *
 *   A map KIND PAGE COUNT FILE HUGE    KIND: 0 anonymous, 1 private file, 2 read-only, 3 shared file, 4 shm, 5 stack;
 *                                      HUGE: 1 if it may have huge pages, else 0
 *   A unmap PAGE COUNT             A dontneed PAGE COUNT         A protect PAGE COUNT WRITABLE
 *   A read PAGE COUNT STRIDE       A write PAGE COUNT STRIDE     A grow PAGE
 *   A fork B     A spawn B         A exec      A exit            A nop
 *
 * and prints for each step: minor faults of the process in it, VmPTE in KiB, resident and anonymous KiB between 1 and
 * 2 TiB afterwards, nanoseconds, errno, nanoseconds of processor time, and what the process has outside of 1 to 2 TiB:
 * vmas and anonymous KiB. Each process warms its own stack and data before every step, so that they do not fault in
 * it. At exit the process is looked at before. Random addresses are off, and transparent huge pages are where nothing
 * asks for them; all processes run on one processor. Processor time does not count what others do there meanwhile: that of an exec runs until the new
 * program is at its first line, with its faults; that of an exit until nothing but a zombie is left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 26, PAGE = 4096, FILE_PAGES = 16384, FIRST_FD = 100 };
enum { MAP, UNMAP, PROTECT, DONTNEED, READ, WRITE, GROW, FORK, SPAWN, EXEC, EXIT, NOP, VERBS, WARM };
static const char *const verbs[VERBS] = {"map", "unmap", "protect", "dontneed", "read", "write",
                                         "grow", "fork", "spawn", "exec", "exit", "nop"};

/* What the controller asks for and what the process answers; in memory that all of them map. */
struct board {
    int verb, extra, child, huge;
    uint64_t page, count, stride;
    long faults, ns, cpu, error;
    pid_t self, born;
};

/* Kept by a process that ends or execs, for who comes after it: its processor time and faults until then. */
struct last { long cpu, faults; };

static struct board *board;
static struct last *last;
static const char *self_path = "/proc/self/exe";

static int command_fd(int process) { return FIRST_FD + 2 * process; }
static int command_end(int process) { return FIRST_FD + 2 * process + 1; }
static int answer_fd(void) { return FIRST_FD + 2 * PROCESSES; }
static int answer_end(void) { return FIRST_FD + 2 * PROCESSES + 1; }
static int board_fd(void) { return FIRST_FD + 2 * PROCESSES + 2; }
static int file_fd(int file) { return FIRST_FD + 2 * PROCESSES + 3 + file; }

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void place(int fd, int at) {
    if (fd < 0 || dup2(fd, at) < 0) die("a file descriptor");
    close(fd);
}

static long faults_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static long ns_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static long cpu_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static void map(const struct board *asked) {
    static const int flags[] = {MAP_PRIVATE | MAP_ANONYMOUS, MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED,
                                MAP_SHARED | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN};
    int kind = asked->extra, of_file = kind >= 1 && kind <= 3;
    void *at = (void *)(asked->page * PAGE);
    void *got = mmap(at, asked->count * PAGE, kind == 2 ? PROT_READ : PROT_READ | PROT_WRITE,
                     flags[kind] | MAP_FIXED_NOREPLACE, of_file ? file_fd(asked->child) : -1, 0);
    if (got != at) board->error = errno ? errno : EEXIST;
    else madvise(at, asked->count * PAGE, asked->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);  /* fails where there are none */
}

/* Touch stack, data and the paths that every step takes, so that they are this process's own and writable. */
static void warm(void) {
    static volatile char data[3 * PAGE];
    volatile char stack[4 * PAGE];
    for (int i = 0; i < 3 * PAGE; i += PAGE) data[i]++;
    for (int i = 0; i < 4 * PAGE; i += PAGE) stack[i] = data[0];
    char *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return;
    *(volatile char *)at = 1;
    mprotect(at, PAGE, PROT_READ);
    mprotect(at, PAGE, PROT_READ | PROT_WRITE);
    madvise(at, PAGE, MADV_DONTNEED);
    munmap(at, 2 * PAGE);
    faults_now();
    ns_now();
    cpu_now();
}

static void answer(void) {
    board->self = getpid();
    if (write(answer_end(), "a", 1) != 1) _exit(1);
}

static void serve(int me) {
    char letter;
    while (read(command_fd(me), &letter, 1) == 1) {
        struct board asked = *board;
        volatile char *at = (volatile char *)(asked.page * PAGE);
        pid_t born = 0;
        board->error = 0;
        long faults = faults_now(), begun = ns_now(), used = cpu_now();
        switch (asked.verb) {
        case MAP: map(&asked); break;
        case UNMAP: if (munmap((void *)at, asked.count * PAGE)) board->error = errno; break;
        case DONTNEED: if (madvise((void *)at, asked.count * PAGE, MADV_DONTNEED)) board->error = errno; break;
        case PROTECT:
            if (mprotect((void *)at, asked.count * PAGE, asked.extra ? PROT_READ | PROT_WRITE : PROT_READ))
                board->error = errno;
            break;
        case READ: for (uint64_t i = 0; i < asked.count; i++) (void)at[i * asked.stride * PAGE]; break;
        case WRITE: for (uint64_t i = 0; i < asked.count; i++) at[i * asked.stride * PAGE] = 1; break;
        case GROW: *at = 1; break;
        case FORK:
            born = fork();
            if (born == 0) {
                me = asked.child;
                warm();
                continue;
            }
            break;
        case SPAWN: {
            char number[12];
            snprintf(number, sizeof number, "%d", asked.child);
            char *words[] = {"probe", "serve", number, NULL};
            if (posix_spawn(&born, self_path, NULL, NULL, words, environ)) born = -1;
            break;
        }
        case EXEC: {
            char number[12];
            snprintf(number, sizeof number, "%d", me);
            answer();
            last->faults = faults_now(), last->cpu = cpu_now();
            execl(self_path, "probe", "serve", number, NULL);
            _exit(1);
        }
        case EXIT: answer(); last->cpu = cpu_now(); _exit(0);
        case WARM: warm(); break;
        }
        long spent = cpu_now() - used, ended = ns_now(), after = faults_now();
        if (born < 0) board->error = errno;
        board->born = born;
        board->ns = ended - begun;
        board->cpu = spent;
        board->faults = after - faults;
        answer();
    }
    _exit(0);
}

static void ask(int process) {
    char letter;
    if (write(command_end(process), "c", 1) != 1 || read(answer_fd(), &letter, 1) != 1) die("a process is gone");
}

static void ask_to(int process, int verb) {
    struct board kept = *board;
    board->verb = verb;
    ask(process);
    *board = kept;
}

static FILE *proc(pid_t pid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return fopen(path, "r");
}

/* VmPTE in KiB, or -1 if there is no address space. */
static long table_kib(pid_t pid) {
    char line[512];
    long value = -1;
    FILE *file = proc(pid, "status");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "VmPTE: %ld", &value) != 1) {}
    if (file) fclose(file);
    return value;
}

/* What /proc/PID/smaps tells: KiB between 1 and 2 TiB, and vmas and KiB outside, which are the process's own. */
struct memory { long resident, anonymous, own_vmas, own_anonymous; };

static struct memory memory_of(pid_t pid) {
    struct memory sum = {0};
    char line[512];
    int inside = 0;
    FILE *file = proc(pid, "smaps");
    while (file && fgets(line, sizeof line, file)) {
        unsigned long first, end;
        long value;
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2) {
            inside = first >= 1UL << 40 && first < 1UL << 41;
            sum.own_vmas += !inside;
        } else if (sscanf(line, "Rss: %ld", &value) == 1) {
            if (inside) sum.resident += value;
        } else if (sscanf(line, "Anonymous: %ld", &value) == 1)
            *(inside ? &sum.anonymous : &sum.own_anonymous) += value;
    }
    if (file) fclose(file);
    return sum;
}

/* Wait until nothing but a zombie is left; return the processor time that it has used in all. */
static long used_by_the_dead(pid_t pid) {
    for (int turn = 0; turn < 5000; turn++) {
        char state = 'Z';
        long used = 0;
        FILE *file = proc(pid, "stat");
        int found = file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1;
        if (file) fclose(file);
        if (!found) return 0;
        if (state == 'Z' && (file = proc(pid, "schedstat"))) {
            if (fscanf(file, "%ld", &used) != 1) used = 0;
            fclose(file);
            return used;
        }
        usleep(200);
    }
    return 0;
}

static void stay_on_one_processor(void) {
    cpu_set_t one;
    int here = sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(here < 0 ? 0 : here, &one);
    sched_setaffinity(0, sizeof one, &one);  /* where that is forbidden, times are noisier */
}

static void prepare_files(int files) {
    static char page[PAGE];
    for (int file = 0; file < files; file++) {
        int fd = memfd_create("probe", 0);
        for (int i = 0; i < FILE_PAGES; i++)
            if (pwrite(fd, page, PAGE, (off_t)i * PAGE) != PAGE) die("a file to map");
        for (int i = 0; i < 2 * FILE_PAGES; i++)  /* read twice, they are on the active list, as those of a program in use */
            if (pread(fd, page, PAGE, (off_t)(i % FILE_PAGES) * PAGE) != PAGE) die("a file to map");
        place(fd, file_fd(file));
    }
}

static void begin(int files) {
    if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
        char number[12];
        snprintf(number, sizeof number, "%d", files);
        if (personality(ADDR_NO_RANDOMIZE) >= 0) execl(self_path, "probe", number, NULL);
        die("fixed addresses");
    }
    stay_on_one_processor();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int ends[2], fd = memfd_create("board", 0);
    if (ftruncate(fd, PAGE)) die("the board");
    place(fd, board_fd());
    for (int process = 0; process <= PROCESSES; process++) {
        if (pipe(ends)) die("a pipe");
        place(ends[0], process < PROCESSES ? command_fd(process) : answer_fd());
        place(ends[1], process < PROCESSES ? command_end(process) : answer_end());
    }
    prepare_files(files);
}

int main(int count, char **words) {
    long used = cpu_now(), faults = faults_now();
    int serves = count > 2 && !strcmp(words[1], "serve");
    if (!serves) begin(count > 1 ? atoi(words[1]) : 0);
    board = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, board_fd(), 0);
    if (board == MAP_FAILED) die("the board");
    last = (struct last *)(board + 1);
    if (serves) {
        last->cpu = used - last->cpu, last->faults = faults - last->faults;
        warm();
        serve(atoi(words[2]));
    }
    pid_t pids[PROCESSES] = {fork()};
    if (pids[0] == 0) serve(0);
    for (int turn = 0; turn < 3; turn++) ask_to(0, WARM);

    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        char process, verb[16], rest[200] = "", child = 'A';
        struct board asked = {.verb = VERBS, .stride = 1};
        if (sscanf(line, " %c %15s %199[^\n]", &process, verb, rest) < 2) continue;
        for (int known = 0; known < VERBS; known++) if (!strcmp(verb, verbs[known])) asked.verb = known;
        int me = process - 'A';
        if (asked.verb == MAP) sscanf(rest, "%d %lx %lu %d %d", &asked.extra, &asked.page, &asked.count, &asked.child, &asked.huge);
        else if (asked.verb == PROTECT) sscanf(rest, "%lx %lu %d", &asked.page, &asked.count, &asked.extra);
        else if (asked.verb == FORK || asked.verb == SPAWN) sscanf(rest, "%c", &child), asked.child = child - 'A';
        else sscanf(rest, "%lx %lu %lu", &asked.page, &asked.count, &asked.stride);
        for (int turn = 0; turn < 2; turn++) ask_to(me, WARM);

        pid_t pid = pids[me];
        long table = 0;
        struct memory memory = {0};
        if (asked.verb == EXIT) table = table_kib(pid), memory = memory_of(pid);
        *board = asked;
        ask(me);
        struct board seen = *board;
        if (asked.verb == EXEC) {  /* it answers just before; what comes next is the new program */
            for (int turn = 0; turn < 3; turn++) ask_to(me, WARM);
            seen.ns = 0, seen.cpu = last->cpu, seen.faults = last->faults;
        }
        if (asked.verb == EXIT) {
            long used = used_by_the_dead(pid);
            seen.faults = seen.ns = 0, seen.cpu = used > last->cpu ? used - last->cpu : 0;
        } else {
            if (asked.verb == FORK || asked.verb == SPAWN) {
                pids[asked.child] = seen.born;
                for (int turn = 0; turn < 3; turn++) ask_to(asked.child, WARM);
            }
            table = table_kib(pid), memory = memory_of(pid);
        }
        printf("%ld %ld %ld %ld %ld %ld %ld %ld %ld\n", seen.faults, table, memory.resident, memory.anonymous, seen.ns,
               seen.error, seen.cpu, memory.own_vmas, memory.own_anonymous);
    }
    for (int process = 0; process < PROCESSES; process++) if (pids[process] > 0) kill(pids[process], SIGKILL);
    return 0;
}
