// fauxqs on this machine's own address and the port in the argument. Its own program listens on all addresses.
import { buildApp } from "fauxqs";
import { S3Store } from "./node_modules/fauxqs/dist/s3/s3Store.js";
import { SnsStore } from "./node_modules/fauxqs/dist/sns/snsStore.js";
import { SqsStore } from "./node_modules/fauxqs/dist/sqs/sqsStore.js";

const stores = { sqsStore: new SqsStore(), snsStore: new SnsStore(), s3Store: new S3Store() };
// Queues' URLs then name the host that was asked, and not sqs.REGION.localhost, which no DNS has.
stores.sqsStore.host = "";
const app = buildApp({ logger: false, stores });
await app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
