/* write.h: writing through masked views. */
#ifndef AUTHZ_WRITE_H
#define AUTHZ_WRITE_H

extern void authz_write_init(void);

#endif							/* AUTHZ_WRITE_H */
