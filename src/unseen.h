/* unseen.h: tables that event triggers do not see. */
#ifndef AUTHZ_UNSEEN_H
#define AUTHZ_UNSEEN_H

extern void authz_unseen_init(void);

#endif							/* AUTHZ_UNSEEN_H */
