/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client against a real TLS server (https_server.py) with certificates of our own making. Run
 * from the top folder.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/clock.h"
#include "lib/digest.h"
#include "lib/http.h"
#include "lib/pki.h"
#include "tests/unit/lib/https_peer.h"
#include "tests/unit/lib/support.h"

#define MAX_ANSWER (1 << 20)

static struct https_peer good, old_tls;

static struct http_response r;
static struct err e;

static void start(void)
{
	https_peer_check(http_global_init(&e), &e);
	https_peer_certificates();
	https_peer_start(&good, "");
	https_peer_start(&old_tls, "tls1.2");
}

static void stop(void)
{
	https_peer_stop(&good);
	https_peer_stop(&old_tls);
}

static struct http *make_client(struct http_config c)
{
	struct http *h;

	if (!c.ca_file)
		c.ca_file = temp_path("ca.pem");
	h = http_new(&c, &e);
	ck_assert_msg(h, "%s", e.text);
	return h;
}

static const char *url_of(const char *host, unsigned int port, const char *path)
{
	static char url[256];

	snprintf(url, sizeof(url), "https://%s:%u%s", host, port, path);
	return url;
}

static const char *url(const char *path)
{
	return url_of("127.0.0.1", good.port, path);
}

static int get(struct http *h, const char *path)
{
	return http_request(h, "GET", url(path), NULL, NULL, 0, MAX_ANSWER, &r, &e);
}

START_TEST(answers_of_whatever_status)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});

	assert_ok(get(h, "/hello"), &e);
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_eq(r.body, "hello");
	ck_assert_uint_eq(r.body_len, 5);
	ck_assert_uint_eq(r.retry_after_s, 0);
	http_response_clear(&r);
	ck_assert_ptr_null(r.body);
	assert_ok(get(h, "/empty"), &e);
	ck_assert_uint_eq(r.body_len, 0);
	ck_assert_str_eq(r.body, "");
	http_response_clear(&r);
	assert_ok(get(h, "/status/503"), &e);
	ck_assert_int_eq(r.status, 503);
	ck_assert_uint_eq(r.retry_after_s, 7);
	ck_assert_str_eq(r.body, "{}");
	http_response_clear(&r);
}
END_TEST

START_TEST(redirects_are_answers)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});

	assert_ok(get(h, "/redirect"), &e);
	ck_assert_int_eq(r.status, 302);
	ck_assert_str_eq(r.body, "gone");
	http_response_clear(&r);
}
END_TEST

static void assert_echo(struct http *h, const char *method, const char *type, const void *body,
			size_t len)
{
	char want[300], hex[DIGEST_HEX_BYTES];
	uint8_t digest[DIGEST_BYTES];

	digest_sha256(body ? body : "", len, digest);
	hex_encode(digest, sizeof(digest), hex);
	snprintf(want, sizeof(want), "%s %zu %s %s None None", method, len, hex,
		 type ? type : "None");
	assert_ok(http_request(h, method, url("/echo"), type, body, len, MAX_ANSWER, &r, &e), &e);
	ck_assert_str_eq(r.body, want);
	ck_assert_uint_eq(r.sent_bytes, len);
	http_response_clear(&r);
}

START_TEST(bodies_arrive_whole)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});
	size_t len = 5u << 20;
	_cleanup_free_ uint8_t *body = malloc(len);

	fill_noise(body, len, 1);
	assert_echo(h, "PUT", "application/octet-stream", body, len);
	assert_echo(h, "POST", "application/json", "{}", 2);
	assert_echo(h, "POST", NULL, NULL, 0);
	assert_echo(h, "PUT", NULL, "", 0);
	assert_ok(http_request(h, "DELETE", url("/hello"), NULL, NULL, 0, MAX_ANSWER, &r, &e), &e);
	http_response_clear(&r);
	assert_ok(get(h, "/hello"), &e); /* nothing of the requests before is left in the handle */
	http_response_clear(&r);
}
END_TEST

START_TEST(connections_are_kept)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});
	_cleanup_free_ char *first = NULL;

	assert_ok(get(h, "/connection"), &e);
	first = strdup(r.body);
	http_response_clear(&r);
	assert_echo(h, "PUT", NULL, "abc", 3);
	assert_ok(get(h, "/connection"), &e);
	ck_assert_str_eq(r.body, first);
	http_response_clear(&r);
}
END_TEST

START_TEST(a_kept_connection_may_be_gone)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});

	for (int i = 0; i < 3; i++) {
		assert_ok(get(h, "/last"), &e);
		http_response_clear(&r);
		assert_echo(h, "PUT", NULL, "abc", 3);
	}
}
END_TEST

START_TEST(no_answer_or_half_an_answer)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});

	assert_code(get(h, "/drop"), -ECONNRESET, &e);
	assert_says(&e, "GET https://127.0.0.1:");
	assert_says(&e, "/drop failed: ");
	assert_code(get(h, "/truncate"), -ECONNRESET, &e);
	ck_assert_int_eq(r.status, 0);
	ck_assert_ptr_null(r.body);
	assert_ok(get(h, "/hello"), &e);
	http_response_clear(&r);
}
END_TEST

START_TEST(an_answer_that_is_too_long)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});

	assert_ok(http_request(h, "GET", url("/long/1000"), NULL, NULL, 0, 1000, &r, &e), &e);
	ck_assert_uint_eq(r.body_len, 1000);
	http_response_clear(&r);
	assert_code(http_request(h, "GET", url("/long/1001"), NULL, NULL, 0, 1000, &r, &e),
		    -EMSGSIZE, &e);
	ck_assert_ptr_null(r.body);
	assert_code(http_request(h, "GET", url("/long/1"), NULL, NULL, 0, 0, &r, &e), -EMSGSIZE,
		    &e);
	assert_code(get(h, "/endless-headers"), -EMSGSIZE, &e);
	assert_ok(http_request(h, "GET", url("/long/900000"), NULL, NULL, 0, MAX_ANSWER, &r, &e),
		  &e);
	ck_assert_uint_eq(strlen(r.body), 900000);
	http_response_clear(&r);
}
END_TEST

START_TEST(the_wrong_ca_is_not_trusted)
{
	_cleanup_(http_freep) struct http *h =
		make_client((struct http_config){.ca_file = temp_path("other-ca.pem")});

	assert_code(get(h, "/hello"), -EKEYREJECTED, &e);
	assert_says(&e, url("/hello"));
}
END_TEST

/* The certificate has the IP address and right.example, but not this name of the same address. */
START_TEST(the_wrong_host_name_is_not_trusted)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});

	assert_code(http_request(h, "GET", url_of("localhost", good.port, "/hello"), NULL, NULL, 0,
				 MAX_ANSWER, &r, &e),
		    -EKEYREJECTED, &e);
	assert_says(&e, "localhost");
}
END_TEST

START_TEST(without_a_ca_nobody_is_asked)
{
	const struct http_config c = {0};
	_cleanup_(http_freep) struct http *h = http_new(&c, &e);

	assert_ok(get(h, "/hello"), &e);
	http_response_clear(&r);
}
END_TEST

START_TEST(older_tls_is_refused)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});

	assert_code(http_request(h, "GET", url_of("127.0.0.1", old_tls.port, "/hello"), NULL, NULL,
				 0, MAX_ANSWER, &r, &e),
		    -EPROTO, &e);
	assert_says(&e, "protocol version");
}
END_TEST

START_TEST(client_certificates)
{
	_cleanup_(http_freep) struct http *none = make_client((struct http_config){0});
	_cleanup_(http_freep) struct http *own =
		make_client((struct http_config){.cert_file = temp_path("client.pem"),
						 .key_file = temp_path("client.key")});
	_cleanup_(http_freep) struct http *foreign =
		make_client((struct http_config){.cert_file = temp_path("foreign.pem"),
						 .key_file = temp_path("foreign.key")});
	_cleanup_(http_freep) struct http *absent =
		make_client((struct http_config){.cert_file = temp_path("absent.pem"),
						 .key_file = temp_path("absent.key")});
	_cleanup_(http_freep) struct http *mixed =
		make_client((struct http_config){.cert_file = temp_path("client.pem"),
						 .key_file = temp_path("foreign.key")});

	assert_ok(get(none, "/client"), &e);
	ck_assert_str_eq(r.body, "{}");
	http_response_clear(&r);
	assert_ok(get(own, "/client"), &e);
	ck_assert_str_eq(r.body, "{'commonName': 'a-machine'}");
	http_response_clear(&r);
	/* the server's alert comes after the handshake, and its reset may overtake it */
	int refused = get(foreign, "/client");

	ck_assert_msg(refused == -EKEYREJECTED || refused == -ECONNRESET, "%d: %s", refused,
		      e.text);
	assert_code(get(absent, "/client"), -ENOKEY, &e);
	assert_code(get(mixed, "/client"), -ENOKEY, &e);
}
END_TEST

START_TEST(nobody_there)
{
	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int taken = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(a);

	/* bound but not listening: nobody else gets the port meanwhile */
	ck_assert_int_eq(bind(taken, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(getsockname(taken, (struct sockaddr *)&a, &len), 0);
	assert_code(http_request(h, "GET", url_of("127.0.0.1", ntohs(a.sin_port), "/"), NULL, NULL,
				 0, 9, &r, &e),
		    -ECONNREFUSED, &e);
	assert_code(http_request(h, "GET", "https://nowhere.invalid/", NULL, NULL, 0, 9, &r, &e),
		    -EHOSTUNREACH, &e);
	assert_code(http_request(h, "GET", "http://127.0.0.1:1/", NULL, NULL, 0, 9, &r, &e),
		    -EINVAL, &e);
	assert_code(http_request(h, "GET", "file:///etc/passwd", NULL, NULL, 0, 9, &r, &e), -EINVAL,
		    &e);
	assert_code(http_request(h, "GET", "", NULL, NULL, 0, 9, &r, &e), -EINVAL, &e);
}
END_TEST

/* A listener that never accepts more: the TLS handshake gets no answer. */
START_TEST(a_connection_that_does_not_come_up)
{
	_cleanup_(http_freep) struct http *h =
		make_client((struct http_config){.connect_timeout_ns = NSEC_PER_SEC / 2});
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int silent = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t start = clock_monotonic_ns();
	socklen_t len = sizeof(a);

	ck_assert_int_eq(bind(silent, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(listen(silent, 1), 0);
	ck_assert_int_eq(getsockname(silent, (struct sockaddr *)&a, &len), 0);
	assert_code(http_request(h, "GET", url_of("127.0.0.1", ntohs(a.sin_port), "/"), NULL, NULL,
				 0, 9, &r, &e),
		    -ETIMEDOUT, &e);
	ck_assert_uint_lt(clock_monotonic_ns() - start, 8 * NSEC_PER_SEC);
}
END_TEST

static void fill_backlog(int listener, const struct sockaddr_in *a, int *fds, size_t n)
{
	ck_assert_int_eq(listen(listener, 0), 0);
	for (size_t i = 0; i < n; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fds[i], (const struct sockaddr *)a, sizeof(*a));
	}
}

/* However soon a stall ends a request: that nobody is there is none, and says nothing about packets. */
START_TEST(a_peer_that_does_not_answer_is_no_stall)
{
	struct http_link link = {0};
	_cleanup_(http_freep) struct http *h =
		make_client((struct http_config){.link = &link,
						 .stall_timeout_ns = NSEC_PER_SEC / 2,
						 .connect_timeout_ns = 3 * NSEC_PER_SEC});
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int full = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t begin = clock_monotonic_ns();
	socklen_t len = sizeof(a);
	int fds[4];

	ck_assert_int_eq(bind(full, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(getsockname(full, (struct sockaddr *)&a, &len), 0);
	fill_backlog(full, &a, fds, ARRAY_SIZE(fds));
	assert_code(http_request(h, "GET", url_of("127.0.0.1", ntohs(a.sin_port), "/"), NULL, NULL,
				 0, 9, &r, &e),
		    -ETIMEDOUT, &e);
	ck_assert_uint_ge(clock_monotonic_ns() - begin, 29 * NSEC_PER_SEC / 10);
	ck_assert_uint_eq(link.stalls, 0);
	ck_assert(!http_link_small(&link, clock_monotonic_ns()));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	/* a kept connection stalls as a new one does */
	assert_ok(get(h, "/hello"), &e);
	http_response_clear(&r);
	assert_code(get(h, "/stall"), -ETIMEDOUT, &e);
	ck_assert_uint_eq(link.stalls, 1);
}
END_TEST

START_TEST(a_stall_ends_the_request)
{
	_cleanup_(http_freep) struct http *h =
		make_client((struct http_config){.stall_timeout_ns = NSEC_PER_SEC});
	size_t len = 30u << 20;
	_cleanup_free_ uint8_t *body = calloc(1, len);
	uint64_t begin = clock_monotonic_ns();

	assert_code(get(h, "/stall"), -ETIMEDOUT, &e);
	ck_assert_uint_ge(clock_monotonic_ns() - begin, NSEC_PER_SEC);
	ck_assert_uint_lt(clock_monotonic_ns() - begin, 8 * NSEC_PER_SEC);
	/* a server that does not read what we send */
	begin = clock_monotonic_ns();
	assert_code(http_request(h, "PUT", url("/deaf"), NULL, body, len, 9, &r, &e), -ETIMEDOUT,
		    &e);
	ck_assert_uint_lt(clock_monotonic_ns() - begin, 10 * NSEC_PER_SEC);
	/* slow is no stall */
	begin = clock_monotonic_ns();
	assert_ok(get(h, "/trickle"), &e);
	ck_assert_str_eq(r.body, "xxxxxxxxxxzzzz");
	ck_assert_uint_ge(clock_monotonic_ns() - begin, 2 * NSEC_PER_SEC);
	http_response_clear(&r);
}
END_TEST

static volatile bool cancelled;

static void *cancel_later(void *arg)
{
	(void)arg;
	usleep(300000);
	__atomic_store_n(&cancelled, true, __ATOMIC_RELAXED);
	return NULL;
}

START_TEST(cancelling)
{
	_cleanup_(http_freep) struct http *h =
		make_client((struct http_config){.cancel = &cancelled});
	uint64_t begin = clock_monotonic_ns();
	pthread_t t;

	assert_ok(get(h, "/hello"), &e);
	http_response_clear(&r);
	ck_assert_int_eq(pthread_create(&t, NULL, cancel_later, NULL), 0);
	assert_code(get(h, "/stall"), -ECANCELED, &e);
	ck_assert_uint_lt(clock_monotonic_ns() - begin, 8 * NSEC_PER_SEC);
	pthread_join(t, NULL);
	assert_code(get(h, "/hello"), -ECANCELED, &e);
	__atomic_store_n(&cancelled, false, __ATOMIC_RELAXED);
	assert_ok(get(h, "/hello"), &e);
	http_response_clear(&r);
}
END_TEST

START_TEST(credentials_are_never_told)
{
	_cleanup_(http_freep) struct http *h =
		make_client((struct http_config){.ca_file = temp_path("other-ca.pem")});
	char with_user[256];

	snprintf(with_user, sizeof(with_user), "https://admin:hunter2@127.0.0.1:%u/hello",
		 good.port);
	assert_code(http_request(h, "GET", with_user, NULL, NULL, 0, 9, &r, &e), -EKEYREJECTED, &e);
	ck_assert_ptr_null(strstr(e.text, "hunter2"));
	ck_assert_ptr_null(strstr(e.text, "admin"));
	assert_says(&e, "GET https://127.0.0.1:");
	assert_code(http_request(h, "GET", "https://admin:hunter2@[::1/x", NULL, NULL, 0, 9, &r,
				 &e),
		    -EINVAL, &e);
	ck_assert_ptr_null(strstr(e.text, "hunter2"));
}
END_TEST

START_TEST(through_a_proxy)
{
	char right[100], wrong[100], closed[100];

	snprintf(right, sizeof(right), "http://user:secret@127.0.0.1:%u", good.proxy);
	snprintf(wrong, sizeof(wrong), "http://user:guess@127.0.0.1:%u", good.proxy);
	snprintf(closed, sizeof(closed), "http://user:guess@127.0.0.1:1");

	_cleanup_(http_freep) struct http *h = make_client((struct http_config){.proxy = right});
	_cleanup_(http_freep) struct http *refused =
		make_client((struct http_config){.proxy = wrong});
	_cleanup_(http_freep) struct http *none =
		make_client((struct http_config){.proxy = closed});

	assert_ok(get(h, "/hello"), &e);
	ck_assert_str_eq(r.body, "hello");
	http_response_clear(&r);
	assert_echo(h, "PUT", NULL, "abc", 3);
	assert_code(get(refused, "/hello"), -EACCES, &e);
	ck_assert_ptr_null(strstr(e.text, "guess"));
	assert_says(&e, "407");
	assert_code(get(none, "/hello"), -ECONNREFUSED, &e);
	ck_assert_ptr_null(strstr(e.text, "guess"));
}
END_TEST

/* The proxy refuses us: without it, nobody is there. */
START_TEST(around_a_proxy)
{
	static const char *const lists[] = {"::/64", "[::1]", "10.0.0.0/8,0:0::1"};
	char proxy[100];

	snprintf(proxy, sizeof(proxy), "http://user:guess@127.0.0.1:%u", good.proxy);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		_cleanup_(http_freep) struct http *h =
			make_client((struct http_config){.proxy = proxy, .no_proxy = lists[i]});

		assert_code(get(h, "/hello"), -EACCES, &e);
		http_request(h, "GET", "https://[::1]:1/", NULL, NULL, 0, 9, &r, &e);
		ck_assert_msg(e.code != -EACCES && !strstr(e.text, "407"), "%s: %s", lists[i],
			      e.text);
		assert_code(get(h, "/hello"), -EACCES, &e);
	}

	_cleanup_(http_freep) struct http *direct =
		make_client((struct http_config){.proxy = proxy, .no_proxy = "127.0.0.0/8"});

	assert_ok(get(direct, "/hello"), &e);
	http_response_clear(&r);
}
END_TEST

/* Which the configuration refuses, should libcurl ever be stricter than it is about them. */
START_TEST(a_proxy_that_is_none_is_not_shown)
{
	static const char *const proxies[] = {"http://user:s3cr/et@proxy.example:3128",
					      "http://user:s3cr#et@proxy.example:3128",
					      "http://user:s3cr?et@proxy.example:3128",
					      "http://user:s3cret@proxy.example:port",
					      "bogus://user:s3cret@proxy.example:3128",
					      "https://user:s3cret@[::1/:3128"};

	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++) {
		_cleanup_(http_freep) struct http *h =
			make_client((struct http_config){.proxy = proxies[i]});

		ck_assert_int_eq(http_check_proxy(proxies[i]), -EINVAL);
		ck_assert_int_lt(get(h, "/hello"), 0);
		ck_assert_msg(!strstr(e.text, "s3cr"), "%s", e.text);
		assert_says(&e, "/hello failed: ");
	}
}
END_TEST

START_TEST(the_environment_has_no_say)
{
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	setenv("SSL_CERT_FILE", temp_path("other-ca.pem"), 1);

	_cleanup_(http_freep) struct http *h = make_client((struct http_config){0});

	assert_ok(get(h, "/hello"), &e);
	http_response_clear(&r);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("http");

	temp_dir();
	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, start, stop);
	tcase_add_test(tc, answers_of_whatever_status);
	tcase_add_test(tc, redirects_are_answers);
	tcase_add_test(tc, bodies_arrive_whole);
	tcase_add_test(tc, connections_are_kept);
	tcase_add_test(tc, a_kept_connection_may_be_gone);
	tcase_add_test(tc, no_answer_or_half_an_answer);
	tcase_add_test(tc, an_answer_that_is_too_long);
	tcase_add_test(tc, the_wrong_ca_is_not_trusted);
	tcase_add_test(tc, the_wrong_host_name_is_not_trusted);
	tcase_add_test(tc, without_a_ca_nobody_is_asked);
	tcase_add_test(tc, older_tls_is_refused);
	tcase_add_test(tc, client_certificates);
	tcase_add_test(tc, nobody_there);
	tcase_add_test(tc, a_connection_that_does_not_come_up);
	tcase_add_test(tc, a_peer_that_does_not_answer_is_no_stall);
	tcase_add_test(tc, a_stall_ends_the_request);
	tcase_add_test(tc, cancelling);
	tcase_add_test(tc, credentials_are_never_told);
	tcase_add_test(tc, through_a_proxy);
	tcase_add_test(tc, around_a_proxy);
	tcase_add_test(tc, a_proxy_that_is_none_is_not_shown);
	tcase_add_test(tc, the_environment_has_no_say);
	return run_tcase("http", tc);
}
