// SPDX-License-Identifier: GPL-2.0
/* 5.18: struct scsi_request is gone, the command is in struct scsi_cmnd (cmnd was a pointer) */
#include <scsi/scsi_cmnd.h>

void probe(struct scsi_cmnd *cmd);

void probe(struct scsi_cmnd *cmd)
{
	(void)(char (*)[sizeof(cmd->cmnd) == 32 ? 1 : -1])0;
}
