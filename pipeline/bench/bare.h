/* System calls and a start without libc, for x86-64 and aarch64.
 *
 * Why: before main, libc asks the processor what it can do. Under a hypervisor each such question takes 20 us or so,
 * in sum more than fork, exec and exit together; a benchmark of memory management must not count that.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

static int program(int count, char **given);

#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");

static long call(long what, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(what), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x29, #0\n mov x0, sp\n bl begin\n");

static long call(long what, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = what, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
#error "the real machine is timed on x86-64 and aarch64 only"
#endif

__attribute__((noreturn)) static void leave(int status) {
    for (;;) call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

/* Called by _start with the stack as the kernel left it: the number of arguments, then the arguments. */
__attribute__((used, noreturn)) void begin(long *stack) { leave(program((int)stack[0], (char **)(stack + 1))); }
