// A responder for measuring what S3 clients themselves cost: single-threaded epoll, answers from memory, stores nothing.
// Source bucket: any name without "dst" in it: NKEYS virtual CloudTrail keys, in order; a bucket named *dst* is empty. GET gives
// BODYBYTES canned bytes, PUT and CopyObject are accepted and counted, POST answers any AssumeRole. GET /__stats prints the counts
// and resets them. ListObjectsV2 only (prefix, delimiter, start-after, continuation-token). No signature is checked, Date is
// fixed; ETAG should be the MD5 of the body, or clients that check it (rclone) waste time on it.
//   cc -O2 -w -o stub stub.c && ./stub PORT NKEYS BODYBYTES ETAG
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#include <fcntl.h>
#include <errno.h>
static long NK, BODY; static const char*ETAG="d41d8cd98f00b204e9800998ecf8427e"; static long nlist,nget,nput,ncopy,nhead,nother;
typedef struct { int fd; char *in; size_t n, cap; char *out; size_t on, ocap, opos; } C;
static void put(C*c,const char*s,size_t l){ if(c->on+l>c->ocap){c->ocap=(c->on+l)*2;c->out=realloc(c->out,c->ocap);} memcpy(c->out+c->on,s,l); c->on+=l; }
static void key(long i,char*b){ // 8 accounts x days
  long day=i/2000, r=i%2000; sprintf(b,"AWSLogs/111122223333/CloudTrail/us-east-1/2026/%02ld/%02ld/111122223333_CloudTrail_us-east-1_2026%02ld%02ldT%02ld%02ldZ_%010ldabcdef.json.gz",1+day/28,1+day%28,1+day/28,1+day%28,r/84,(r*60/84)%60,i); }
static char bigbody[1<<26], gethdr[256], copied[512], puthdr[128];
static void resp(C*c,const char*st,const char*hdr,const char*b,size_t l,int head){ char h[1024]; int n=sprintf(h,"HTTP/1.1 %s\r\nServer: stub\r\nx-amz-request-id: 0\r\nDate: Tue, 24 Nov 2026 00:00:00 GMT\r\n%sContent-Length: %zu\r\n\r\n",st,hdr,l); put(c,h,n); if(!head)put(c,b,l); }
static int unq(const char*s,const char*e,char*o){char*q=o;while(s<e){ if(*s=='%'&&s+2<e+0){int v;sscanf(s+1,"%2x",&v);*q++=v;s+=3;} else if(*s=='+'){*q++=' ';s++;} else *q++=*s++;} *q=0; return q-o;}
static int param(const char*q,const char*e,const char*name,char*o){ size_t l=strlen(name); while(q<e){ const char*a=memchr(q,'&',e-q); const char*x=a?a:e; if((size_t)(x-q)>l && !strncmp(q,name,l)&&q[l]=='='){unq(q+l+1,x,o);return 1;} if((size_t)(x-q)==l&&!strncmp(q,name,l)){*o=0;return 1;} if(!a)break; q=a+1;} return 0;}
static void list(C*c,const char*q,const char*e,const char*bucket){
  nlist++; char tok[1024]="",sa[1024]="",pre[1024]="",del[64]=""; long start=0; int max=1000; char mk[64]; if(param(q,e,"max-keys",mk)&&atoi(mk)>0&&atoi(mk)<1000) max=atoi(mk); int dst=strstr(bucket,"dst")!=NULL;
  param(q,e,"prefix",pre); param(q,e,"delimiter",del);
  if(param(q,e,"continuation-token",tok)) start=atol(tok);
  else if(param(q,e,"start-after",sa)&&*sa){ long lo=0,hi=NK; char k[512]; while(lo<hi){long m=(lo+hi)/2;key(m,k); if(strcmp(k,sa)<=0)lo=m+1;else hi=m;} start=lo; }
  if(*pre){ long lo=0,hi=NK; char k[512]; while(lo<hi){long m=(lo+hi)/2;key(m,k); if(strcmp(k,pre)<0)lo=m+1;else hi=m;} if(lo>start)start=lo; }
  long nk=dst?0:NK; size_t cap=1000*700+4096; char*b=malloc(cap); size_t n=0; long i=start; int cnt=0; char body[64];
  static char tmp[800000]; size_t t=0; char k[512]; size_t pl=strlen(pre);
  size_t cpn=0; static char cps[400000]; 
  for(;i<nk&&cnt<max;i++){ key(i,k); if(pl&&strncmp(k,pre,pl)){ i=nk; break;}
    if(*del){ char*sl=strchr(k+pl,'/'); if(sl){ sl[1]=0; cpn+=sprintf(cps+cpn,"<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>",k); cnt++; sl[0]='0'; long lo=i,hi=nk; char k3[512]; while(lo<hi){long m=(lo+hi)/2;key(m,k3); if(strcmp(k3,k)<0)lo=m+1;else hi=m;} i=lo-1; continue; } } t+=sprintf(tmp+t,"<Contents><Key>%s</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified><ETag>&quot;%s&quot;</ETag><Size>%ld</Size><StorageClass>STANDARD</StorageClass></Contents>",k,ETAG,BODY); cnt++; }
  int trunc=i<nk; if(trunc){ char k2[512]; key(i,k2); if(pl&&strncmp(k2,pre,pl)) trunc=0; }
  n+=sprintf(b+n,"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>%s</Name><Prefix>%s</Prefix><KeyCount>%d</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>%s</IsTruncated>",bucket,pre,cnt,trunc?"true":"false");
  if(trunc) n+=sprintf(b+n,"<NextContinuationToken>%ld</NextContinuationToken>",i);
  memcpy(b+n,tmp,t); n+=t; memcpy(b+n,cps,cpn); n+=cpn; n+=sprintf(b+n,"</ListBucketResult>"); (void)body;
  resp(c,"200 OK","Content-Type: application/xml\r\n",b,n,0); free(b);
}
static int handle(C*c){ // returns bytes consumed or 0
  char*he=memmem(c->in,c->n,"\r\n\r\n",4); if(!he) return 0; size_t hl=he-c->in+4; long cl=0; 
  char sv=he[2]; he[2]=0; char*p=strcasestr(c->in,"\r\ncontent-length:"); if(p) cl=atol(p+17); char*src=strcasestr(c->in,"\r\nx-amz-copy-source:"); char*ex=strcasestr(c->in,"\r\nexpect: 100"); long ra=-1,rb=-1; char*rg=strcasestr(c->in,"\r\nrange: bytes="); if(rg) sscanf(rg+15,"%ld-%ld",&ra,&rb); he[2]=sv;
  if(c->n<hl+cl){ if(ex&&c->n==hl) { const char*x="HTTP/1.1 100 Continue\r\n\r\n"; write(c->fd,x,strlen(x)); } return 0; }
  char*m=c->in; char*sp=memchr(m,' ',hl); char*u=sp+1; char*ue=memchr(u,' ',hl-(u-m)); char*q=memchr(u,'?',ue-u); char*pe=q?q:ue; const char*qs=q?q+1:ue;
  char bucket[128]; char*b=u+1; size_t i=0; while(b<pe&&*b!='/'&&i<120) bucket[i++]=*b++; bucket[i]=0; int haskey=(b+1<pe);
  char v[1024];
  if(!strncmp(m,"GET ",4)){
    if(!strncmp(u,"/__stats",8)){ char s[256]; int n=sprintf(s,"{\"list\":%ld,\"get\":%ld,\"put\":%ld,\"copy\":%ld,\"head\":%ld,\"other\":%ld}\n",nlist,nget,nput,ncopy,nhead,nother); resp(c,"200 OK","",s,n,0); nlist=nget=nput=ncopy=nhead=nother=0; }
    else if(haskey){ nget++; if(ra>=0){ if(rb>=BODY) rb=BODY-1; resp(c,"206 Partial Content",gethdr,bigbody+ra,rb-ra+1,0);} else resp(c,"200 OK",gethdr,bigbody,BODY,0); }
    else if(param(qs,ue,"location",v)) { const char*x="<?xml version=\"1.0\"?><LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></LocationConstraint>"; resp(c,"200 OK","",x,strlen(x),0);} 
    else if(param(qs,ue,"versioning",v)) { const char*x="<?xml version=\"1.0\"?><VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>"; resp(c,"200 OK","",x,strlen(x),0);} 
    else if(!bucket[0]) {const char*x="<?xml version=\"1.0\"?><ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>x</ID></Owner><Buckets><Bucket><Name>src</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket><Bucket><Name>dst</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>"; resp(c,"200 OK","",x,strlen(x),0);} 
    else list(c,qs,ue,bucket);
  } else if(!strncmp(m,"HEAD ",5)){ nhead++; if(haskey&&!strstr(bucket,"dst")){ char h[400]; int hn=sprintf(h,"HTTP/1.1 200 OK\r\n%sContent-Length: %ld\r\n\r\n",gethdr,BODY); put(c,h,hn);} else if(haskey) resp(c,"404 Not Found","","",0,1); else resp(c,"200 OK","x-amz-bucket-region: us-east-1\r\n","",0,1); }
  else if(!strncmp(m,"PUT ",4)){ if(src){ ncopy++; const char*x=copied; resp(c,"200 OK","Content-Type: application/xml\r\n",x,strlen(x),0);} else {nput++; resp(c,"200 OK",puthdr,"",0,0);} }
  else if(!strncmp(m,"POST ",5)&&param(qs,ue,"uploads",v)){ nother++; const char*x="<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"; resp(c,"200 OK","",x,strlen(x),0);} 
  else if(!strncmp(m,"POST ",5)&&param(qs,ue,"uploadId",v)){ nother++; const char*x="<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"; resp(c,"200 OK","",x,strlen(x),0);} 
  else if(!strncmp(m,"POST ",5)){ nother++; const char*x=memmem(c->in+hl,cl,"GetCallerIdentity",17)?"<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::222222222222:user/syncd</Arn><UserId>AIDAX</UserId><Account>222222222222</Account></GetCallerIdentityResult></GetCallerIdentityResponse>":"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials><AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId><Arn>arn:aws:sts::111122223333:assumed-role/Test/b</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"; resp(c,"200 OK","Content-Type: text/xml\r\n",x,strlen(x),0);} 
  else { nother++; resp(c,"200 OK","","",0,0);} 
  return hl+cl; }
int main(int ac,char**av){ int port=atoi(av[1]); NK=atol(av[2]); BODY=atol(av[3]); if(ac>4)ETAG=av[4];
  sprintf(gethdr,"Content-Type: application/x-gzip\r\nETag: \"%s\"\r\nLast-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n",ETAG); sprintf(puthdr,"ETag: \"%s\"\r\n",ETAG);
  sprintf(copied,"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CopyObjectResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LastModified>2026-11-24T00:00:00.000Z</LastModified><ETag>&quot;%s&quot;</ETag></CopyObjectResult>",ETAG);
  for(size_t i=0;i<sizeof bigbody;i++)bigbody[i]=(char)(i*7+13);
  int s=socket(AF_INET,SOCK_STREAM,0),o=1; setsockopt(s,SOL_SOCKET,SO_REUSEADDR,&o,4); struct sockaddr_in a={.sin_family=AF_INET,.sin_port=htons(port),.sin_addr.s_addr=htonl(0x7f000001)}; if(bind(s,(void*)&a,sizeof a)){perror("bind");return 1;} listen(s,1024); fcntl(s,F_SETFL,O_NONBLOCK);
  int ep=epoll_create1(0); struct epoll_event ev={.events=EPOLLIN,.data.ptr=NULL},evs[256]; epoll_ctl(ep,EPOLL_CTL_ADD,s,&ev);
  for(;;){ int n=epoll_wait(ep,evs,256,-1); for(int i=0;i<n;i++){ C*c=evs[i].data.ptr; if(!c){ int f; while((f=accept4(s,0,0,SOCK_NONBLOCK))>=0){ setsockopt(f,IPPROTO_TCP,TCP_NODELAY,&o,4); c=calloc(1,sizeof*c); c->fd=f; c->cap=65536; c->in=malloc(c->cap); ev.events=EPOLLIN; ev.data.ptr=c; epoll_ctl(ep,EPOLL_CTL_ADD,f,&ev);} continue; }
    int dead=0; if(evs[i].events&(EPOLLIN|EPOLLHUP)){ for(;;){ if(c->n==c->cap){c->cap*=2;c->in=realloc(c->in,c->cap);} ssize_t r=read(c->fd,c->in+c->n,c->cap-c->n); if(r>0){c->n+=r; if((size_t)r<c->cap-c->n) {} continue;} if(r==0)dead=1; break; }
      int k; while(c->n&&(k=handle(c))>0){ memmove(c->in,c->in+k,c->n-k); c->n-=k; } }
    if(c->on>c->opos){ ssize_t w=write(c->fd,c->out+c->opos,c->on-c->opos); if(w>0)c->opos+=w; if(c->opos==c->on){c->opos=c->on=0; ev.events=EPOLLIN; ev.data.ptr=c; epoll_ctl(ep,EPOLL_CTL_MOD,c->fd,&ev);} else {ev.events=EPOLLIN|EPOLLOUT; ev.data.ptr=c; epoll_ctl(ep,EPOLL_CTL_MOD,c->fd,&ev);} }
    if(dead){ close(c->fd); free(c->in); free(c->out); free(c);} } } }
