/* troupe.h: all of libtroupe in one include. The headers in reading order. */
#ifndef TROUPE_H
#define TROUPE_H

#include <troupe/agent.h>
#include <troupe/alarm_handler.h>
#include <troupe/application.h>
#include <troupe/base.h>
#include <troupe/consumer_supervisor.h>
#include <troupe/dynamic_supervisor.h>
#include <troupe/gen_event.h>
#include <troupe/gen_server.h>
#include <troupe/gen_stage.h>
#include <troupe/gen_statem.h>
#include <troupe/message.h>
#include <troupe/node.h>
#include <troupe/pattern.h>
#include <troupe/pool.h>
#include <troupe/port.h>
#include <troupe/proc_lib.h>
#include <troupe/process.h>
#include <troupe/registry.h>
#include <troupe/reqids.h>
#include <troupe/snapshot.h>
#include <troupe/statem_table.h>
#include <troupe/supervisor.h>
#include <troupe/sys.h>
#include <troupe/task.h>
#include <troupe/task_stream.h>
#include <troupe/task_supervisor.h>
#include <troupe/term.h>
#include <troupe/timer.h>

#endif
