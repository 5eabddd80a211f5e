// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "lib/digest_tree.h"
#include "tests/unit/lib/support.h"

START_TEST(nodes_follow_their_children)
{
	uint8_t children[3 * DIGEST_BYTES] = {0}, zero[DIGEST_BYTES] = {0}, want[DIGEST_BYTES];
	uint8_t got[DIGEST_BYTES];

	digest_tree_node(children, 3, got);
	ck_assert_mem_eq(got, zero, DIGEST_BYTES);
	ck_assert(!digest_is_damaged(got));
	children[40] = 1;
	digest_sha256(children, sizeof(children), want);
	digest_tree_node(children, 3, got);
	ck_assert_mem_eq(got, want, DIGEST_BYTES);
	/* Fewer children are another node. */
	digest_tree_node(children, 2, got);
	ck_assert_mem_ne(got, want, DIGEST_BYTES);
	memset(children + 2 * DIGEST_BYTES, 0xff, DIGEST_BYTES);
	digest_tree_node(children, 3, got);
	ck_assert(digest_is_damaged(got));
}
END_TEST

START_TEST(levels)
{
	ck_assert(digest_tree_level(65536) && digest_tree_level(1 << 20) &&
		  digest_tree_level(64 << 20));
	ck_assert(!digest_tree_level(0) && !digest_tree_level(131072));
	ck_assert_uint_eq(digest_tree_below(TREE_TOP), TREE_NODE);
	ck_assert_uint_eq(digest_tree_below(TREE_NODE), TREE_LEAF);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("digest_tree");

	tcase_add_test(tc, nodes_follow_their_children);
	tcase_add_test(tc, levels);
	return run_tcase("digest_tree", tc);
}
