/* masked.h: masks come into plans. */
#ifndef AUTHZ_MASKED_H
#define AUTHZ_MASKED_H

extern void authz_masked_init(void);

#endif							/* AUTHZ_MASKED_H */
