/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP proxy that injects faults; TLS passes through it as bytes. One thread, one poll loop.
 *
 *	proxy --control FIFO --stats FILE [--seed N] LISTEN_ADDR LISTEN_PORT TO_ADDR TO_PORT ...
 *
 * Commands are lines written to the FIFO:
 *
 *	every FAULT		each connection from now on gets this fault
 *	once FAULT		the next connection gets it; may be given several times (a queue)
 *	now FAULT		the connections that there are get it at their next byte
 *	random PERCENT MAX	each connection gets, with this probability, one of drop, truncate,
 *				reset, stall 3000, corrupt in a random direction after at most MAX bytes
 *				(downwards: MAX / 256)
 *	pass			no fault for new connections; what is stalled stays stalled
 *	close			reset every connection that there is
 *	off / on		stop listening (connections are refused) / listen again
 *	stats			write the counts to FILE (atomically)
 *	quit
 *
 * FAULT is KIND [up|down [BYTES [ARG]]]: BYTES are passed in that direction (up: towards the server), then
 *	drop		both sides are closed in an orderly way (FIN)
 *	truncate	the receiver gets FIN, what the sender still sends is swallowed
 *	reset		both sides get RST
 *	stall		nothing moves in either direction for ARG ms (0: for ever), connection open
 *	slow		ARG bytes/s in that direction from there on
 *	corrupt		one bit of the next byte is flipped
 *	halfopen	accepted and never answered, never connected (BYTES has no meaning)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX 8
#define CONNS_MAX 512
#define QUEUE_MAX 64
#define BUFFER 65536

enum kind { NONE, DROP, TRUNCATE, RESET, STALL, SLOW, CORRUPT, HALFOPEN, KINDS };
static const char *const kind_names[KINDS] = {"none",  "drop", "truncate", "reset",
					      "stall", "slow", "corrupt",  "halfopen"};
enum { UP, DOWN };

struct fault {
	enum kind kind;
	int dir;
	uint64_t bytes, arg;
};

struct pair {
	struct sockaddr_in listen, to;
	int fd; /* -1: not listening */
};

struct flow { /* one direction of a connection */
	char buf[BUFFER];
	size_t from, to; /* what of buf is still to be written */
	uint64_t passed;
	bool eof, shut, swallow;
};

struct conn {
	int fd[2]; /* fd[UP]: the server, fd[DOWN]: the client; flow[d] goes to fd[d] */
	struct flow flow[2];
	struct fault fault;
	bool connecting, halfopen;
	uint64_t stalled_until, slow_since; /* ms */
	uint64_t slow_passed;
};

static struct pair pairs[PAIRS_MAX];
static unsigned int pair_count;
static struct conn *conns[CONNS_MAX];
static struct fault queue[QUEUE_MAX], every;
static unsigned int queued;
static unsigned int random_percent;
static uint64_t random_max, seed = 1;
static uint64_t accepted, overflow, bytes_total[2], faults[KINDS];
static const char *stats_path;

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("proxy: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t rnd(void) /* xorshift64* */
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545F4914F6CDD1DULL >> 16;
}

static void listen_on(struct pair *p)
{
	int one = 1;

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(p->fd, (struct sockaddr *)&p->listen, sizeof(p->listen)) || listen(p->fd, 128))
		die("port %u: %s", ntohs(p->listen.sin_port), strerror(errno));
}

static struct fault fault_for_new(void)
{
	static const enum kind mix[] = {DROP, TRUNCATE, RESET, STALL, CORRUPT};
	struct fault f = every;

	if (queued) {
		f = queue[0];
		memmove(queue, queue + 1, --queued * sizeof(*queue));
	} else if (random_percent && rnd() % 100 < random_percent) {
		f.kind = mix[rnd() % (sizeof(mix) / sizeof(*mix))];
		f.dir = rnd() % 2;
		/* log-uniform: handshakes, requests and long bodies are hit alike */
		f.bytes = rnd() % ((random_max >> rnd() % 12) + 1);
		if (f.dir == DOWN) /* answers are short */
			f.bytes /= 256;
		f.arg = f.kind == STALL ? 3000 : 0;
	}
	return f;
}

static void conn_close(unsigned int i, bool reset)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	for (int d = 0; d < 2; d++) {
		if (conns[i]->fd[d] < 0)
			continue;
		if (reset)
			setsockopt(conns[i]->fd[d], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(conns[i]->fd[d]);
	}
	free(conns[i]);
	conns[i] = NULL;
}

static void conn_connect(struct conn *c, const struct pair *p)
{
	int one = 1;

	c->fd[UP] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd[UP] < 0)
		die("socket: %s", strerror(errno));
	setsockopt(c->fd[UP], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd[UP], (const struct sockaddr *)&p->to, sizeof(p->to)) &&
	    errno != EINPROGRESS) {
		close(c->fd[UP]);
		c->fd[UP] = -1;
	}
	c->connecting = true;
}

static void conn_accept(const struct pair *p)
{
	int one = 1, fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	unsigned int i;

	if (fd < 0)
		return;
	for (i = 0; i < CONNS_MAX && conns[i]; i++)
		;
	if (i == CONNS_MAX) {
		overflow++;
		close(fd);
		return;
	}
	conns[i] = calloc(1, sizeof(struct conn));
	if (!conns[i])
		die("out of memory");
	accepted++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conns[i]->fd[DOWN] = fd;
	conns[i]->fd[UP] = -1;
	conns[i]->fault = fault_for_new();
	if (conns[i]->fault.kind == HALFOPEN) {
		faults[HALFOPEN]++;
		conns[i]->halfopen = true;
		return;
	}
	conn_connect(conns[i], p);
	if (conns[i]->fd[UP] < 0)
		conn_close(i, true);
}

/* The fault of c is due in direction d: true when the connection is gone. */
static bool strike(unsigned int i, int d, uint64_t now)
{
	struct conn *c = conns[i];
	struct fault f = c->fault;

	c->fault.kind = NONE;
	faults[f.kind]++;
	switch (f.kind) {
	case DROP:
	case RESET:
		conn_close(i, f.kind == RESET);
		return true;
	case TRUNCATE:
		c->flow[d].swallow = true;
		c->flow[d].shut = true;
		shutdown(c->fd[d], SHUT_WR);
		return false;
	case STALL:
		c->stalled_until = f.arg ? now + f.arg : UINT64_MAX;
		return false;
	case SLOW:
		c->fault = f;
		c->slow_since = now; /* the same clock as allowance()'s: never after it */
		c->slow_passed = 0;
		return false;
	case CORRUPT:
		c->flow[d].buf[c->flow[d].from] ^= 0x10;
		return false;
	default:
		return false;
	}
}

/* How much of the flow may be written now. 0: the fault is due, or the pace is kept. */
static size_t allowance(const struct conn *c, int d, uint64_t now)
{
	const struct flow *w = &c->flow[d];
	size_t want = w->to - w->from;
	uint64_t left;

	if (c->fault.kind == NONE || c->fault.dir != d)
		return want;
	if (c->slow_since)
		left = (now - c->slow_since) * c->fault.arg / 1000 - c->slow_passed;
	else
		left = c->fault.bytes > w->passed ? c->fault.bytes - w->passed : 0;
	return want < left ? want : left;
}

/* Writes what may be written; true when the connection is gone. */
static bool flow_out(unsigned int i, int d, uint64_t now)
{
	struct conn *c = conns[i];
	struct flow *w = &c->flow[d];
	size_t n;
	ssize_t r;

	while (w->from < w->to) {
		if (w->swallow) {
			w->from = w->to = 0;
			break;
		}
		n = allowance(c, d, now);
		if (!n) {
			if (c->slow_since)
				return false;
			if (strike(i, d, now))
				return true;
			if (c->stalled_until > now)
				return false;
			continue;
		}
		r = send(c->fd[d], w->buf + w->from, n, MSG_NOSIGNAL);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		if (r < 0) {
			conn_close(i, true);
			return true;
		}
		w->from += r;
		w->passed += r;
		bytes_total[d] += r;
		if (c->slow_since && c->fault.dir == d)
			c->slow_passed += r;
	}
	if (w->eof && !w->shut) {
		shutdown(c->fd[d], SHUT_WR);
		w->shut = true;
	}
	return false;
}

/* Reads into an empty buffer; true when the connection is gone. */
static bool flow_in(unsigned int i, int d)
{
	struct conn *c = conns[i];
	struct flow *w = &c->flow[d];
	ssize_t r = recv(c->fd[!d], w->buf, sizeof(w->buf), 0);

	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (r < 0) {
		conn_close(i, true);
		return true;
	}
	w->from = 0;
	w->to = r;
	w->eof = r == 0;
	return false;
}

static void conn_events(unsigned int i, short up, short down, uint64_t now)
{
	struct conn *c = conns[i];
	short ev[2] = {[UP] = up, [DOWN] = down};
	int error = 0;
	socklen_t len = sizeof(error);

	if (c->halfopen) {
		if (down & (POLLHUP | POLLERR))
			conn_close(i, false);
		return;
	}
	if (c->connecting) {
		if (!up)
			return;
		getsockopt(c->fd[UP], SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			conn_close(i, true);
			return;
		}
		c->connecting = false;
	}
	if (c->stalled_until > now)
		return;
	for (int d = 0; d < 2; d++) {
		if (c->flow[d].from == c->flow[d].to && !c->flow[d].eof &&
		    ev[!d] & (POLLIN | POLLHUP | POLLERR) && flow_in(i, d))
			return;
		if (flow_out(i, d, now))
			return;
	}
	if (c->flow[UP].eof && c->flow[DOWN].eof && c->flow[UP].shut && c->flow[DOWN].shut)
		conn_close(i, false);
}

static short wanted(const struct conn *c, int side, uint64_t now)
{
	const struct flow *out = &c->flow[side], *in = &c->flow[!side];
	short ev = 0;

	if (c->halfopen)
		return 0;
	if (c->connecting)
		return side == UP ? POLLOUT : 0;
	if (c->stalled_until > now)
		return 0;
	if (out->from < out->to && (!c->slow_since || c->fault.dir != side))
		ev |= POLLOUT;
	if (in->from == in->to && !in->eof)
		ev |= POLLIN;
	return ev;
}

static void write_stats(void)
{
	char tmp[4096];
	unsigned int open = 0;
	FILE *f;

	for (unsigned int i = 0; i < CONNS_MAX; i++)
		open += conns[i] != NULL;
	snprintf(tmp, sizeof(tmp), "%s.new", stats_path);
	f = fopen(tmp, "w");
	if (!f)
		die("%s: %s", tmp, strerror(errno));
	fprintf(f,
		"{\"accepted\":%ju,\"open\":%u,\"overflow\":%ju,\"bytes_up\":%ju,\"bytes_down\":%ju",
		(uintmax_t)accepted, open, (uintmax_t)overflow, (uintmax_t)bytes_total[UP],
		(uintmax_t)bytes_total[DOWN]);
	for (int k = DROP; k < KINDS; k++)
		fprintf(f, ",\"%s\":%ju", kind_names[k], (uintmax_t)faults[k]);
	fputs("}\n", f);
	if (fclose(f) || rename(tmp, stats_path))
		die("%s: %s", stats_path, strerror(errno));
}

static struct fault parse_fault(const char *text)
{
	char kind[16] = "", dir[8] = "up";
	unsigned long long bytes = 0, arg = 0;
	struct fault f = {.kind = KINDS};

	if (sscanf(text, "%15s %7s %llu %llu", kind, dir, &bytes, &arg) < 1)
		die("no fault in '%s'", text);
	for (int k = NONE; k < KINDS; k++)
		if (!strcmp(kind, kind_names[k]))
			f.kind = k;
	if (f.kind == KINDS || (strcmp(dir, "up") && strcmp(dir, "down")))
		die("unknown fault '%s'", text);
	f.dir = strcmp(dir, "up") ? DOWN : UP;
	f.bytes = bytes;
	f.arg = arg;
	return f;
}

static void fault_now(struct fault f)
{
	for (unsigned int i = 0; i < CONNS_MAX; i++) {
		if (!conns[i])
			continue;
		f.bytes = conns[i]->flow[f.dir].passed;
		conns[i]->fault = f;
		conns[i]->slow_since = 0;
	}
}

static void command(const char *line)
{
	unsigned int percent;
	unsigned long long max;

	if (!strncmp(line, "every ", 6)) {
		every = parse_fault(line + 6);
	} else if (!strncmp(line, "once ", 5) && queued < QUEUE_MAX) {
		queue[queued++] = parse_fault(line + 5);
	} else if (!strncmp(line, "now ", 4)) {
		fault_now(parse_fault(line + 4));
	} else if (sscanf(line, "random %u %llu", &percent, &max) == 2) {
		random_percent = percent;
		random_max = max;
	} else if (!strcmp(line, "pass")) {
		every.kind = NONE;
		queued = random_percent = 0;
	} else if (!strcmp(line, "close")) {
		for (unsigned int i = 0; i < CONNS_MAX; i++)
			if (conns[i])
				conn_close(i, true);
	} else if (!strcmp(line, "off") || !strcmp(line, "on")) {
		for (unsigned int i = 0; i < pair_count; i++) {
			if (pairs[i].fd >= 0)
				close(pairs[i].fd);
			pairs[i].fd = -1;
			if (!strcmp(line, "on"))
				listen_on(&pairs[i]);
		}
	} else if (!strcmp(line, "stats")) {
		write_stats();
	} else if (!strcmp(line, "quit")) {
		exit(0);
	} else {
		die("unknown command '%s'", line);
	}
}

static void control_read(int fd)
{
	static char buf[4096];
	static size_t len;
	ssize_t r = read(fd, buf + len, sizeof(buf) - 1 - len);
	char *end;

	if (r <= 0)
		return;
	len += r;
	while ((end = memchr(buf, '\n', len))) {
		*end = 0;
		command(buf);
		len -= end + 1 - buf;
		memmove(buf, end + 1, len);
	}
	if (len == sizeof(buf) - 1)
		die("a command is too long");
}

static void loop(int control)
{
	static struct pollfd p[1 + PAIRS_MAX + 2 * CONNS_MAX];
	const unsigned int base = 1 + PAIRS_MAX;
	uint64_t now;

	for (;;) {
		now = now_ms();
		p[0] = (struct pollfd){.fd = control, .events = POLLIN};
		for (unsigned int i = 0; i < PAIRS_MAX; i++)
			p[1 + i] = (struct pollfd){.fd = i < pair_count ? pairs[i].fd : -1,
						   .events = POLLIN};
		for (unsigned int i = 0; i < CONNS_MAX; i++)
			for (int side = 0; side < 2; side++) {
				struct pollfd *q = &p[base + 2 * i + side];

				q->fd = conns[i] ? conns[i]->fd[side] : -1;
				q->events = conns[i] ? wanted(conns[i], side, now) : 0;
				q->revents = 0;
				/* hang-ups cannot be masked: leave such a side out */
				if (conns[i] && !conns[i]->halfopen && !q->events)
					q->fd = -1;
			}
		if (poll(p, base + 2 * CONNS_MAX, 10) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		now = now_ms();
		for (unsigned int i = 0; i < CONNS_MAX; i++)
			if (conns[i])
				conn_events(i, p[base + 2 * i + UP].revents,
					    p[base + 2 * i + DOWN].revents, now);
		for (unsigned int i = 0; i < pair_count; i++)
			if (p[1 + i].revents & POLLIN)
				conn_accept(&pairs[i]);
		if (p[0].revents & POLLIN)
			control_read(control);
	}
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1 || !a.sin_port)
		die("not an address: %s %s", host, port);
	return a;
}

int main(int argc, char **argv)
{
	const char *fifo = NULL;
	int control, i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 1; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		if (!strcmp(argv[i], "--control"))
			fifo = argv[i + 1];
		else if (!strcmp(argv[i], "--stats"))
			stats_path = argv[i + 1];
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0) * 2 + 1;
		else
			die("unknown option %s", argv[i]);
	}
	if (!fifo || !stats_path || i == argc || (argc - i) % 4 || (argc - i) / 4 > PAIRS_MAX)
		die("usage: proxy --control FIFO --stats FILE [--seed N] ADDR PORT ADDR PORT ...");
	for (; i < argc; i += 4) {
		pairs[pair_count].listen = address(argv[i], argv[i + 1]);
		pairs[pair_count].to = address(argv[i + 2], argv[i + 3]);
		listen_on(&pairs[pair_count++]);
	}
	control = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* O_RDWR: never at its end */
	if (control < 0)
		die("%s: %s", fifo, strerror(errno));
	puts("ready");
	fflush(stdout);
	loop(control);
	return 0;
}
