/* The four workloads as plain loops over ptes in arrays: what a kernel does, one pte at a time, and nothing else.
 *
 * A yardstick that no kernel's mood moves. Takes the arguments of real.c (programs and files are not looked at) and
 * prints the nanoseconds of the same phase. A pte is frame * 2 + writable, 0 if empty.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SHELL_PAGES = 100, PROGRAM_PAGES = 4 /* what a program touches that does nothing */ };

static char **arguments;
static uint64_t *free_frames;
static uint32_t *mapcount;
static long n_free;

static long number(int index) { return strtol(arguments[index], NULL, 10); }

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* As in real.c. */
static long random_page(uint64_t draw, long pages) {
    uint64_t bits = (draw + 1) * UINT64_C(0x9e3779b97f4a7c15);
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (long)((bits ^ (bits >> 31)) % (uint64_t)pages);
}

static void *zeroed(long items, long bytes) {
    void *memory = calloc(items, bytes);
    if (!memory) {
        fprintf(stderr, "calloc: no memory for %ld items\n", items);
        exit(1);
    }
    return memory;
}

static void new_frames(long frames) {
    free_frames = zeroed(frames, sizeof *free_frames);
    mapcount = zeroed(frames + 1, sizeof *mapcount);
    for (long frame = frames; frame > 0; frame--) free_frames[n_free++] = frame;
}

static void touch(uint64_t *table, long ptes) {
    for (long each = 0; each < ptes; each++) {
        uint64_t frame = free_frames[--n_free];
        mapcount[frame] = 1;
        table[each] = frame * 2 + 1;
    }
}

static void map(uint64_t *table, const uint64_t *file, long ptes) {
    for (long each = 0; each < ptes; each++) {
        table[each] = file[each] & ~UINT64_C(1);
        mapcount[file[each] / 2]++;
    }
}

static void fork_ptes(uint64_t *child, uint64_t *parent, long ptes) {
    for (long each = 0; each < ptes; each++) {
        uint64_t pte = parent[each];
        if (pte & 1) parent[each] = pte &= ~UINT64_C(1);
        child[each] = pte;
        mapcount[pte / 2]++;
    }
}

static void write_page(uint64_t *table, long index) {
    uint64_t pte = table[index];
    if (pte & 1) return;
    if (mapcount[pte / 2] == 1) {
        table[index] = pte | 1;
    } else {
        mapcount[pte / 2]--;
        touch(table + index, 1);
    }
}

static void zap(uint64_t *table, long ptes) {
    for (long each = 0; each < ptes; each++) {
        uint64_t frame = table[each] / 2;
        table[each] = 0;
        if (--mapcount[frame] == 0) free_frames[n_free++] = frame;
    }
}

static int64_t snapshot(int execs) {
    long forks = number(2), pages = number(3), writes = execs ? 0 : number(4);
    uint64_t *parent = zeroed(pages, sizeof *parent), *child = zeroed(pages + PROGRAM_PAGES, sizeof *child);
    new_frames(pages + writes + PROGRAM_PAGES);
    touch(parent, pages);
    int64_t begun = now();
    for (long each = 0; each < forks; each++) {
        fork_ptes(child, parent, pages);
        for (long draw = each * writes; draw < (each + 1) * writes; draw++)
            write_page(child, random_page(draw, pages));
        zap(child, pages);
        if (execs) {
            touch(child, PROGRAM_PAGES);
            zap(child, PROGRAM_PAGES);
        }
    }
    return now() - begun;
}

static void grow(uint64_t *parent, const uint64_t *file, long depth) {
    long writes = number(4), library = number(5), private = number(6), ptes = library + private;
    uint64_t *child = parent + ptes;
    for (long index = 0; depth > 0 && index < number(3); index++) {
        fork_ptes(child, parent, ptes);
        for (long each = 0; each < writes; each++) write_page(child, library + index * writes % private + each);
        if (index % 2) {
            zap(child, ptes);
            map(child, file, library);
            touch(child + library, private);
        }
        grow(child, file, depth - 1);
        zap(child, ptes);
    }
}

static int64_t tree(void) {
    long library = number(5), ptes = library + number(6), levels = number(2) + 1;
    uint64_t *file = zeroed(library, sizeof *file), *tables = zeroed(levels * ptes, sizeof *tables);
    new_frames(library + levels * ptes);
    touch(file, library);
    map(tables, file, library);
    touch(tables + library, ptes - library);
    int64_t begun = now();
    grow(tables, file, number(2));
    return now() - begun;
}

static int64_t shell(void) {
    uint64_t file[SHELL_PAGES], parent[2 * SHELL_PAGES], child[2 * SHELL_PAGES];
    new_frames(5 * SHELL_PAGES);
    touch(file, SHELL_PAGES);
    map(parent, file, SHELL_PAGES);
    touch(parent + SHELL_PAGES, SHELL_PAGES);
    int64_t begun = now();
    for (long each = 0; each < number(2); each++) {
        fork_ptes(child, parent, 2 * SHELL_PAGES);
        for (long page = 0; page < number(3); page++) write_page(child, SHELL_PAGES + page);
        zap(child, 2 * SHELL_PAGES);
        map(child, file, SHELL_PAGES);
        touch(child + SHELL_PAGES, SHELL_PAGES);
        zap(child, 2 * SHELL_PAGES);
    }
    return now() - begun;
}

static int64_t timed(char workload) {
    switch (workload) {
    case '1': return snapshot(0);
    case '2': return snapshot(1);
    case '3': return tree();
    default: return shell();
    }
}

int main(int count, char **given) {
    if (count < 4) return 2;
    arguments = given;
    printf("%lld\n", (long long)timed(given[1][1]));
    return 0;
}
